// Unacknowledged QoS 1 and 2 messages to a client never exceed its Receive Maximum [MQTT-3.3.4-9].

import type { IPublishPacket } from 'mqtt-packet'
import { numbers, payloadsOf, type SessionClient, type SessionOptions } from './session-client.js'
import { onEachTransport, RECONNECTS, type Variant } from './variants.js'

const only5 = { versions: [5] } as const
const MAXIMUM = 3

async function open(variant: Variant, options: Partial<SessionOptions> = {}): Promise<SessionClient> {
  const client = await variant.connect({
    clientId: variant.name('client'),
    properties: { sessionExpiryInterval: 100, receiveMaximum: MAXIMUM },
    ...options
  })
  await client.subscribeMarker()
  await client.subscribe([[variant.name('t/#'), 2]])
  return client
}

async function publish(variant: Variant, count: number, topic = 't'): Promise<void> {
  const publisher = await variant.connectClean('publisher')
  for (const name of numbers(count))
    await publisher.publish(variant.name(topic), name, { qos: Number(name) % 2 === 0 ? 2 : 1 })
  await publisher.disconnect()
}

/** Returns the messages sent so far. A QoS 0 message overtakes queued ones. */
async function sentSoFar(client: SessionClient): Promise<IPublishPacket[]> {
  const got = await client.messages(MAXIMUM)
  return [...got, ...(await client.messagesSoFar(0))]
}

/** Receives messages and acknowledges them one by one; returns the maximum number of unacknowledged ones. */
async function takeAll(client: SessionClient, count: number): Promise<{ payloads: string[]; maximum: number }> {
  const open: IPublishPacket[] = []
  const payloads: string[] = []
  let maximum = 0
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
    maximum = Math.max(maximum, open.length)
    await client.complete(open.shift() as IPublishPacket)
  }
  await client.complete(...open)
  return { payloads, maximum }
}

onEachTransport(
  'live',
  async (t, variant) => {
    for (const clean of [true, false]) {
      const client = await open(variant, {
        clean,
        ...(clean && { properties: { sessionExpiryInterval: 0, receiveMaximum: MAXIMUM } })
      })
      await publish(variant, 10)
      const first = await sentSoFar(client)
      t.equal(first.length, MAXIMUM)
      await client.complete(...first)
      const { payloads, maximum } = await takeAll(client, 7)
      t.same([...payloadsOf(first), ...payloads], numbers(10))
      t.ok(maximum <= MAXIMUM, `at most ${maximum}`)
      await client.disconnect()
    }
  },
  only5
)

for (const how of RECONNECTS) {
  onEachTransport(
    `when a session is resumed after ${how}`,
    async (t, variant) => {
      const wide = await open(variant, { properties: { sessionExpiryInterval: 100, receiveMaximum: 8 } })
      await publish(variant, 12)
      t.equal((await wide.messages(8)).length, 8)
      const back = await variant.reconnect(wide, how, {
        properties: { sessionExpiryInterval: 100, receiveMaximum: MAXIMUM }
      })
      const first = await sentSoFar(back)
      t.same(payloadsOf(first), numbers(MAXIMUM))
      await back.complete(...first)
      const { payloads, maximum } = await takeAll(back, 12 - MAXIMUM)
      t.same(payloads, numbers(12).slice(MAXIMUM))
      t.ok(maximum <= MAXIMUM, `at most ${maximum}`)
    },
    only5
  )
}

onEachTransport('without a Receive Maximum, limits.inflightMessages applies', async (t, variant) => {
  const client = await open(variant, { properties: { sessionExpiryInterval: 100 } })
  await publish(variant, 30)
  t.equal((await client.messages(20)).length, 20)
  t.same(await client.messagesSoFar(0), [])
})

onEachTransport(
  'PUBCOMP and a PUBREC with an error free the window, a normal PUBREC does not',
  async (t, variant) => {
    const client = await open(variant)
    const publisher = await variant.connectClean('publisher')
    for (const name of numbers(6)) await publisher.publish(variant.name('t'), name, { qos: 2 })
    const [first, second] = await client.messages(MAXIMUM)
    client.acknowledge(first)
    await client.next('pubrel')
    t.same(await client.messagesSoFar(0), [])
    client.send({ cmd: 'pubcomp', messageId: first.messageId })
    t.equal((await client.next('publish')).payload.toString(), '3')
    client.send({ cmd: 'pubrec', messageId: second.messageId, reasonCode: 0x97 })
    t.equal((await client.next('publish')).payload.toString(), '4')
    await client.settled()
    t.same(client.drain('pubrel'), [], 'no PUBREL for a rejected message [MQTT-4.3.3-4]')
  },
  only5
)

onEachTransport(
  'retained messages',
  async (t, variant) => {
    for (const name of numbers(10)) await publish(variant, 1, `t/${name}`)
    const publisher = await variant.connectClean('publisher')
    for (const name of numbers(10)) await publisher.publish(variant.name(`t/${name}`), name, { retain: true })
    const client = await open(variant)
    t.equal((await sentSoFar(client)).length, MAXIMUM)
  },
  only5
)

for (const how of RECONNECTS) {
  onEachTransport(
    `a packet identifier is in use until PUBCOMP, also after ${how} [MQTT-2.2.1-4]`,
    async (t, variant) => {
      const client = await open(variant, { properties: { sessionExpiryInterval: 100 } })
      const publisher = await variant.connectClean('publisher')
      for (const name of numbers(5)) await publisher.publish(variant.name('t'), name, { qos: 2 })
      const released = await client.messages(5)
      client.acknowledge(...released)
      for (const { messageId } of released) await client.next('pubrel', packet => packet.messageId === messageId)
      const back = await variant.reconnect(client, how)
      for (const { messageId } of released) await back.next('pubrel', packet => packet.messageId === messageId)
      await publish(variant, 10)
      const taken = new Set(released.map(({ messageId }) => messageId))
      for (const { messageId } of await back.messages(10)) t.notOk(taken.has(messageId), `${messageId} is not in use`)
    }
  )
}
