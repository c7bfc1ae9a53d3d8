// Unacknowledged messages delay later ones; all are delivered in the end, once and in order.

import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import type { Aedes } from 'aedes'
import t, { type Test } from 'tap'
import { packet, text } from '../../decode/craft-mqtt.js'
import { connectBytes, RawClient, TYPE, type ReceivedPacket } from '../../support/raw-client.js'
import { waitUntil } from '../../support/wait-until.js'
import { connect, messages, open } from '../mqtt-client.js'
import { openBroker } from '../opened-broker.js'

/** Listens for MQTT.js; returns the URL. */
async function listen(test: Test, aedes: Aedes): Promise<string> {
  const server = createServer(socket => {
    aedes.handle(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => server.close())
  return `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Creates a SUBSCRIBE. */
function subscribe(filter: string, qos: number, level = 4): Buffer {
  return packet(0x82, Buffer.concat([Buffer.from(level === 5 ? [0, 1, 0] : [0, 1]), text(filter), Buffer.from([qos])]))
}

async function publish(
  aedes: Aedes,
  from: number,
  to: number,
  { topic = 't', qos = 1, retain = false }: { topic?: string; qos?: 0 | 1 | 2; retain?: boolean } = {}
): Promise<void> {
  for (let number = from; number < to; number++) {
    await new Promise<void>((resolve, reject) => {
      const message = { cmd: 'publish', topic, payload: Buffer.from(String(number)), qos, retain, dup: false } as const
      aedes.publish(message, error => {
        if (error) reject(error)
        else resolve()
      })
    })
  }
}

const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i))
const published = (client: RawClient): ReceivedPacket[] => client.received.filter(({ type }) => type === TYPE.publish)
const payloads = (client: RawClient): string[] => published(client).map(({ payload }) => payload)

/** Returns the packet identifier of a PUBLISH or an acknowledgement. */
function idOf({ type, bytes, topic }: ReceivedPacket): number {
  return bytes.readUInt16BE(type === TYPE.publish ? 2 + 2 + Buffer.byteLength(topic) : 2)
}

function acknowledge(client: RawClient, kind: keyof typeof TYPE, id: number, ...rest: number[]): void {
  client.send(packet((TYPE[kind] << 4) | (kind === 'pubrel' ? 2 : 0), Buffer.from([id >> 8, id & 0xff, ...rest])))
}

const acknowledged = new WeakSet<ReceivedPacket>()

/** Acknowledges QoS 1 messages until `count` have arrived in total. */
async function take(client: RawClient, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await waitUntil(`message ${i}`, () => published(client).length > i)
    const one = published(client)[i]
    if (one.header === 0x30 || acknowledged.has(one)) continue
    acknowledged.add(one)
    acknowledge(client, 'puback', idOf(one))
  }
}

/** Waits for `minimum` messages, then returns all that arrive without further acknowledgements. */
async function arrived(client: RawClient, minimum = 0): Promise<string[]> {
  await waitUntil(`${minimum} messages`, () => published(client).length >= minimum)
  for (let round = 0; round < 5; round++) await client.settled()
  return payloads(client)
}

for (const [level, receiveMaximum, maximum] of [
  [4, undefined, 20],
  [5, undefined, 20],
  [5, 5, 5],
  [5, 1, 1],
  [5, 1000, 20]
] as const) {
  t.test(`MQTT ${level} with Receive Maximum ${receiveMaximum} gets ${maximum} unacknowledged messages`, async t => {
    const { aedes } = await openBroker(t)
    const client = await RawClient.connect(aedes, { level, receiveMaximum })
    client.send(subscribe('#', 1, level))
    await client.next(TYPE.suback)
    await publish(aedes, 0, 50)
    t.same(await arrived(client, maximum), numbers(0, maximum))
    await publish(aedes, 0, 1, { topic: 'u', qos: 0 })
    t.equal((await arrived(client, maximum + 1)).length, maximum + 1, 'QoS 0 is sent at once')
    client.received.splice(
      client.received.findIndex(({ topic }) => topic === 'u'),
      1
    )
    acknowledge(client, 'puback', idOf(published(client)[0]) + 1_000)
    t.same(await arrived(client), numbers(0, maximum), 'an unknown packet identifier is ignored')
    await take(client, 1)
    t.same(await arrived(client, maximum + 1), numbers(0, maximum + 1), 'one more for each acknowledgement')
    await take(client, 50)
    t.same(await arrived(client), numbers(0, 50))
  })
}

t.test('QoS 2 ends with a PUBCOMP, or with a PUBREC with an error', async t => {
  const { aedes } = await openBroker(t)
  const client = await RawClient.connect(aedes, { level: 5, receiveMaximum: 2 })
  client.send(subscribe('#', 2, 5))
  await client.next(TYPE.suback)
  await publish(aedes, 0, 5, { qos: 2 })
  t.same(await arrived(client, 2), ['0', '1'])
  const [first, second] = published(client).map(idOf)
  acknowledge(client, 'pubrec', first)
  await client.next(TYPE.pubrel)
  t.same(await arrived(client), ['0', '1'])
  acknowledge(client, 'pubcomp', first)
  t.same(await arrived(client, 3), ['0', '1', '2'])
  acknowledge(client, 'pubrec', second, 0x80)
  t.same(await arrived(client, 4), ['0', '1', '2', '3'])
})

t.test('retained messages are sent as fast as they are acknowledged', async t => {
  const { aedes, limitCounters } = await openBroker(t, { queuedMessages: 10 })
  for (let i = 10; i < 60; i++) await publish(aedes, i, i + 1, { topic: `kept/${i}`, retain: true })
  const client = await RawClient.connect(aedes, {})
  client.send(subscribe('kept/#', 1))
  await waitUntil('a full window', () => published(client).length === 20)
  t.equal((await arrived(client)).length, 20)
  await take(client, 50)
  t.same((await arrived(client)).sort(), numbers(10, 60))
  t.equal(limitCounters.counts.queuedMessages, 0, 'pending retained messages do not count')
  // Repeated SUBSCRIBEs do not duplicate pending messages.
  client.received.splice(0)
  for (let i = 0; i < 40; i++) client.send(subscribe('kept/#', 1))
  await waitUntil('all SUBACKs', () => client.received.filter(({ type }) => type === TYPE.suback).length === 40)
  t.equal((await arrived(client, 20)).length, 20)
  await take(client, 70)
  t.equal((await arrived(client, 70)).length, 70, 'those in flight at the second SUBSCRIBE, and all again')
  t.equal(limitCounters.counts.queuedMessages, 0)
})

for (const isPersistent of [true, false]) {
  t.test(
    `a resumed session gets queued messages, then new ones (${isPersistent ? 'on disk' : 'in memory'})`,
    async t => {
      const { aedes } = await openBroker(t, {}, isPersistent)
      const fields = { clientId: 'persistent', clean: false, level: 5, receiveMaximum: 5, expirySeconds: 60 } as const
      const first = await RawClient.connect(aedes, fields)
      first.send(subscribe('#', 1, 5))
      await first.next(TYPE.suback)
      await publish(aedes, 0, 8)
      t.same(await arrived(first, 5), numbers(0, 5))
      acknowledge(first, 'puback', idOf(published(first)[0]))
      t.same(await arrived(first, 6), numbers(0, 6))
      first.stream.destroy()
      await waitUntil('the disconnect', () => aedes.connectedClients === 0)
      await publish(aedes, 8, 40)

      // The SUBSCRIBEs arrive with the CONNECT in one piece, and all must be handled.
      const again = new RawClient(aedes, {}, 5)
      const more = Array.from({ length: 20 }, (_, i) => subscribe(`other/${i}`, 1, 5))
      again.send(Buffer.concat([connectBytes(fields), ...more]))
      await again.next(TYPE.connack)
      await publish(aedes, 40, 60)
      t.same(await arrived(again, 5), numbers(1, 6))
      await waitUntil('all SUBACKs', () => again.received.filter(({ type }) => type === TYPE.suback).length === 20)
      const taking = take(again, 69)
      await publish(aedes, 60, 70)
      await taking
      t.same(await arrived(again), numbers(1, 70))
    }
  )
}

t.test('a lost connection loses no queued message', async t => {
  const { aedes } = await openBroker(t, { inflightMessages: 3 }, true)
  const fields = { clientId: 'persistent', clean: false }
  for (const [round, from] of [
    [0, 0],
    [1, 0],
    [2, 2]
  ] as const) {
    const client = await RawClient.connect(aedes, fields)
    if (round === 0) {
      client.send(subscribe('#', 1))
      await client.next(TYPE.suback)
      await publish(aedes, 0, 12)
    }
    t.same(await arrived(client, 3), numbers(from, from + 3))
    if (round === 1) {
      await take(client, 2)
      t.same(await arrived(client, 5), numbers(0, 5))
    }
    client.stream.destroy()
    await waitUntil('the disconnect', () => aedes.connectedClients === 0)
  }
  const last = await RawClient.connect(aedes, fields)
  await take(last, 10)
  t.same(await arrived(last), numbers(2, 12))
})

t.test('late acknowledgements of messages from an earlier connection', async t => {
  const { aedes } = await openBroker(t, {}, true)
  const fields = { clientId: 'persistent', clean: false, level: 5, expirySeconds: 60 } as const
  const first = await RawClient.connect(aedes, fields)
  first.send(subscribe('#', 2, 5))
  await first.next(TYPE.suback)
  await publish(aedes, 0, 4)
  await publish(aedes, 4, 5, { qos: 2 })
  t.same(await arrived(first, 5), numbers(0, 5))
  first.stream.destroy()
  await waitUntil('the disconnect', () => aedes.connectedClients === 0)
  const again = await RawClient.connect(aedes, { ...fields, receiveMaximum: 1 })
  t.same(await arrived(again, 1), ['0'])
  const [zero, one, two] = published(first).map(idOf)
  // Not sent again yet in this connection.
  acknowledge(again, 'puback', one)
  acknowledge(again, 'puback', two)
  await again.settled()
  acknowledge(again, 'puback', zero)
  t.same(await arrived(again, 2), ['0', '3'])
  for (let i = 0; i < 2; i++) acknowledge(again, 'pubrec', two)
  await waitUntil('two PUBRELs', () => again.received.filter(({ type }) => type === TYPE.pubrel).length === 2)
  acknowledge(again, 'pubcomp', two)
  acknowledge(again, 'puback', idOf(published(again)[1]))
  t.same(await arrived(again, 3), ['0', '3', '4'])
  t.notOk(again.closed)
})

t.test('a client that acknowledges nothing delays no other client, and its queue is limited', async t => {
  const { aedes, limitCounters } = await openBroker(t, { queuedMessages: 100 })
  const slow = await RawClient.connect(aedes, { clientId: 'slow' })
  const persistent = await RawClient.connect(aedes, { clientId: 'persistent', clean: false })
  const fast = await connect(t, await listen(t, aedes))
  for (const client of [slow, persistent]) {
    client.send(subscribe('#', 1))
    await client.next(TYPE.suback)
  }
  await fast.subscribeAsync('#', { qos: 1 })
  for (let from = 0; from < 300; from += 50) {
    const got = messages(fast, 50)
    await publish(aedes, from, from + 50)
    t.same(
      await got,
      numbers(from, from + 50).map(number => `t ${number}`)
    )
  }
  t.equal(limitCounters.counts.queuedMessages, (300 - 120) * 2)
  await take(slow, 120)
  t.same(await arrived(slow), numbers(0, 120))
  await take(persistent, 120)
  t.same(await arrived(persistent), numbers(0, 120))
  await publish(aedes, 300, 301)
  await waitUntil('space in the queues', () => payloads(slow).includes('300') && payloads(persistent).includes('300'))
})

t.test('overlapping filters: queued messages are not lost or duplicated when QoS 0 messages overtake them', async t => {
  const { aedes } = await openBroker(t, { inflightMessages: 1 })
  const client = await RawClient.connect(aedes)
  for (const filter of ['t', '#', '+']) client.send(subscribe(filter, 1))
  await waitUntil('all SUBACKs', () => client.received.filter(({ type }) => type === TYPE.suback).length === 3)
  await publish(aedes, 0, 3)
  await publish(aedes, 3, 6, { qos: 0 })
  await publish(aedes, 6, 8)
  t.same(await arrived(client, 4), ['0', '3', '4', '5'])
  await take(client, 8)
  t.same(await arrived(client), ['0', '3', '4', '5', '1', '2', '6', '7'])
})

t.test('an unacknowledged packet identifier is not reused', async t => {
  const { aedes } = await openBroker(t, { inflightMessages: 3 })
  const client = await RawClient.connect(aedes)
  client.send(subscribe('#', 1))
  await client.next(TYPE.suback)
  await publish(aedes, 0, 1)
  const stuck = await client.next(TYPE.publish)
  // Advance through all other identifiers.
  const queue = aedes.sessions.get('tester')?.queue
  queue?.restoreSent(queue.sequence + 65_534)
  await publish(aedes, 1, 2)
  const next = await client.next(TYPE.publish, ({ payload }) => payload === '1')
  t.not(idOf(next), idOf(stuck))
})

t.test('MQTT.js gets all messages in order with any Receive Maximum', async t => {
  const { aedes } = await openBroker(t)
  const url = await listen(t, aedes)
  const publisher = await connect(t, url)
  for (const qos of [1, 2] as const) {
    const options = [
      { protocolVersion: 4 },
      { protocolVersion: 5, properties: { receiveMaximum: 1 } },
      { protocolVersion: 5, properties: { receiveMaximum: 5 } }
    ] as const
    const readers = await Promise.all(options.map(async one => await connect(t, url, one)))
    for (const reader of readers) await reader.subscribeAsync('row', { qos })
    const got = readers.map(reader => messages(reader, 200))
    for (let number = 0; number < 200; number++) publisher.publish('row', String(number), { qos })
    for (const rows of got)
      t.same(
        await rows,
        numbers(0, 200).map(number => `row ${number}`),
        `QoS ${qos}`
      )
    await Promise.all(
      readers.map(async reader => {
        await reader.endAsync()
      })
    )
  }
  const session = {
    clientId: 'persistent',
    clean: false,
    protocolVersion: 5,
    properties: { receiveMaximum: 1, sessionExpiryInterval: 60 }
  } as const
  const offline = await connect(t, url, session)
  await offline.subscribeAsync('row', { qos: 2 })
  await offline.endAsync()
  for (let number = 0; number < 100; number++) await publisher.publishAsync('row', String(number), { qos: 2 })
  t.same(
    await messages(open(t, url, session), 100),
    numbers(0, 100).map(number => `row ${number}`)
  )
})

t.test('a burst of many times the queue limit loses no message for a subscriber that keeps acknowledging', async t => {
  const { aedes, limitCounters } = await openBroker(t)
  const url = await listen(t, aedes)
  const reader = await connect(t, url)
  await reader.subscribeAsync('row', { qos: 1 })
  const publisher = await connect(t, url)
  const got = messages(reader, 4_000)
  for (let number = 0; number < 4_000; number++) publisher.publish('row', String(number), { qos: 1 })
  t.same(
    await got,
    numbers(0, 4_000).map(number => `row ${number}`)
  )
  t.equal(limitCounters.counts.queuedMessages, 0)
})
