// How many messages of QoS 1 and 2 are on their way to a client: never more than its Receive Maximum [MQTT-3.3.4-9].

import type { IPublishPacket } from 'mqtt-packet'
import { numbers, payloadsOf, type SessionClient, type SessionOptions } from './session-client.js'
import { onEveryWay, RETURNS, type Way } from './ways.js'

const only5 = { versions: [5] } as const
const MAXIMUM = 3

async function open(way: Way, options: Partial<SessionOptions> = {}): Promise<SessionClient> {
  const client = await way.connect({
    clientId: way.name('client'),
    properties: { sessionExpiryInterval: 100, receiveMaximum: MAXIMUM },
    ...options
  })
  await client.watch()
  await client.subscribe([[way.name('t/#'), 2]])
  return client
}

async function publish(way: Way, count: number, topic = 't'): Promise<void> {
  const publisher = await way.visitor('publisher')
  for (const name of numbers(count))
    await publisher.publish(way.name(topic), name, { qos: Number(name) % 2 === 0 ? 2 : 1 })
  await publisher.leave()
}

/** The messages that are there and no more: what is sent at QoS 0 comes past those that wait. */
async function atOnce(client: SessionClient): Promise<IPublishPacket[]> {
  const got = await client.messages(MAXIMUM)
  return [...got, ...(await client.caughtUp(0))]
}

/** Takes all, one acknowledgement at a time; how many were unacknowledged at most. */
async function takeAll(client: SessionClient, count: number): Promise<{ payloads: string[]; most: number }> {
  const open: IPublishPacket[] = []
  const payloads: string[] = []
  let most = 0
  while (payloads.length < count) {
    const next = await client.next('publish')
    payloads.push(next.payload.toString())
    open.push(next)
    open.push(
      ...client.drain('publish').map(message => {
        payloads.push(message.payload.toString())
        return message
      })
    )
    most = Math.max(most, open.length)
    await client.complete(open.shift() as IPublishPacket)
  }
  await client.complete(...open)
  return { payloads, most }
}

onEveryWay(
  'live',
  async (t, way) => {
    for (const clean of [true, false]) {
      const client = await open(way, {
        clean,
        ...(clean && { properties: { sessionExpiryInterval: 0, receiveMaximum: MAXIMUM } })
      })
      await publish(way, 10)
      const first = await atOnce(client)
      t.equal(first.length, MAXIMUM)
      await client.complete(...first)
      const { payloads, most } = await takeAll(client, 7)
      t.same([...payloadsOf(first), ...payloads], numbers(10))
      t.ok(most <= MAXIMUM, `${most} at a time`)
      await client.leave()
    }
  },
  only5
)

for (const how of RETURNS) {
  onEveryWay(
    `when a session is resumed after ${how}`,
    async (t, way) => {
      const wide = await open(way, { properties: { sessionExpiryInterval: 100, receiveMaximum: 8 } })
      await publish(way, 12)
      t.equal((await wide.messages(8)).length, 8)
      const back = await way.back(wide, how, { properties: { sessionExpiryInterval: 100, receiveMaximum: MAXIMUM } })
      const first = await atOnce(back)
      t.same(payloadsOf(first), numbers(MAXIMUM))
      await back.complete(...first)
      const { payloads, most } = await takeAll(back, 12 - MAXIMUM)
      t.same(payloads, numbers(12).slice(MAXIMUM))
      t.ok(most <= MAXIMUM, `${most} at a time`)
    },
    only5
  )
}

onEveryWay('a client that says nothing has that of limits.inflightMessages', async (t, way) => {
  const client = await open(way, { properties: { sessionExpiryInterval: 100 } })
  await publish(way, 30)
  t.equal((await client.messages(20)).length, 20)
  t.same(await client.caughtUp(0), [])
})

onEveryWay(
  'PUBREC makes no room, PUBCOMP does, and so does a PUBREC that refuses',
  async (t, way) => {
    const client = await open(way)
    const publisher = await way.visitor('publisher')
    for (const name of numbers(6)) await publisher.publish(way.name('t'), name, { qos: 2 })
    const [first, second] = await client.messages(MAXIMUM)
    client.acknowledge(first)
    await client.next('pubrel')
    t.same(await client.caughtUp(0), [])
    client.send({ cmd: 'pubcomp', messageId: first.messageId })
    t.equal((await client.next('publish')).payload.toString(), '3')
    client.send({ cmd: 'pubrec', messageId: second.messageId, reasonCode: 0x97 })
    t.equal((await client.next('publish')).payload.toString(), '4')
    await client.settled()
    t.same(client.drain('pubrel'), [], 'no PUBREL for what was refused [MQTT-4.3.3-4]')
  },
  only5
)

onEveryWay(
  'retained messages keep to it as well',
  async (t, way) => {
    for (const name of numbers(10)) await publish(way, 1, `t/${name}`)
    const publisher = await way.visitor('publisher')
    for (const name of numbers(10)) await publisher.publish(way.name(`t/${name}`), name, { retain: true })
    const client = await open(way)
    t.equal((await atOnce(client)).length, MAXIMUM)
  },
  only5
)

for (const how of RETURNS) {
  onEveryWay(`a packet identifier is taken until PUBCOMP, also after ${how} [MQTT-2.2.1-4]`, async (t, way) => {
    const client = await open(way, { properties: { sessionExpiryInterval: 100 } })
    const publisher = await way.visitor('publisher')
    for (const name of numbers(5)) await publisher.publish(way.name('t'), name, { qos: 2 })
    const released = await client.messages(5)
    client.acknowledge(...released)
    for (const { messageId } of released) await client.next('pubrel', packet => packet.messageId === messageId)
    const back = await way.back(client, how)
    for (const { messageId } of released) await back.next('pubrel', packet => packet.messageId === messageId)
    await publish(way, 10)
    const taken = new Set(released.map(({ messageId }) => messageId))
    for (const { messageId } of await back.messages(10)) t.notOk(taken.has(messageId), `${messageId} is free`)
  })
}
