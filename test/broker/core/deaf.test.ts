// A lasting session goes on receiving, whatever it was sent before: nothing that is done with fills its queue.

import { numbers, payloadsOf, type SessionClient } from './session-client.js'
import { onEveryWay, type Way } from './ways.js'

/** How many messages may wait for a session: few, so that little fills the queue. */
const LIMIT = 100
const settings = { limits: { queuedMessages: LIMIT } }
const CHUNKS = Array.from({ length: 6 }, (_, chunk) => Array.from({ length: LIMIT / 4 }, (_, i) => `${chunk} ${i}`))

async function open(way: Way): Promise<SessionClient> {
  const client = await way.connect({ clientId: way.name('client'), acknowledges: true })
  await client.watch()
  return client
}

/** What it gets of further messages, of which one comes after it was away: it must be all, and nothing of before. */
async function hears(way: Way, client: SessionClient, topic: string): Promise<string[]> {
  await (await way.visitor('publisher')).publish(topic, 'heard')
  const got = await client.caughtUp()
  const back = await way.back(client, 'a restart')
  await (await way.visitor('publisher')).publish(topic, 'heard again')
  return payloadsOf([...got, ...(await back.caughtUp())])
}

/** Publishes more than the limit, and no faster than the client takes it. */
async function flood(way: Way, client: SessionClient, retain: boolean, chunks = CHUNKS): Promise<string[]> {
  const publisher = await way.visitor('sender')
  const got = []
  for (const chunk of chunks) {
    await publisher.publishAll(way.name('t'), chunk, { retain })
    got.push(...(await client.messages(chunk.length)))
  }
  return payloadsOf(got)
}

onEveryWay(
  'retained messages to a subscription with Retain As Published',
  async (t, way) => {
    const client = await open(way)
    await client.subscribe([[way.name('t/#'), 1, { rap: true, rh: 2 }]])
    t.same(await flood(way, client, true), CHUNKS.flat())
    t.same(await hears(way, client, way.name('t')), ['heard', 'heard again'])
  },
  { versions: [5], settings }
)

onEveryWay(
  'a thousand of them, with the limit of the default',
  async (t, way) => {
    const client = await open(way)
    await client.subscribe([[way.name('t/#'), 1, { rap: true, rh: 2 }]])
    const chunks = Array.from({ length: 11 }, (_, chunk) => Array.from({ length: 100 }, (_, i) => `${chunk} ${i}`))
    t.same(await flood(way, client, true, chunks), chunks.flat())
    t.same(await hears(way, client, way.name('t')), ['heard', 'heard again'])
  },
  { versions: [5], carriers: ['TCP'] }
)

onEveryWay(
  'its own messages under No Local [MQTT-3.8.3-3]',
  async (t, way) => {
    const client = await open(way)
    await client.subscribe([[way.name('t'), 1, { nl: true }]])
    await client.publishAll(way.name('t'), CHUNKS.flat())
    t.same(await hears(way, client, way.name('t')), ['heard', 'heard again'])
  },
  { versions: [5], settings }
)

for (const [order, first, second] of [
  ['first', 0, 1],
  ['last', 1, 0]
] as const) {
  onEveryWay(
    `messages that a filter of QoS 0 matches as well, which was subscribed to ${order}`,
    async (t, way) => {
      const client = await open(way)
      await client.subscribe([[way.name('t/#'), first]])
      await client.subscribe([[way.name('t'), second]])
      t.same(await flood(way, client, false), CHUNKS.flat())
      t.same(await hears(way, client, way.name('t')), ['heard', 'heard again'])
    },
    { settings }
  )
}

onEveryWay(
  'messages that it refuses [MQTT-4.3.3-4]',
  async (t, way) => {
    const client = await open(way)
    client.acknowledges = false
    await client.subscribe([[way.name('t'), 2]])
    const publisher = await way.visitor('sender')
    for (const [index, chunk] of CHUNKS.entries()) {
      await publisher.publishAll(way.name('t'), chunk, { qos: index % 2 === 0 ? 1 : 2 })
      for (let taken = 0; taken < chunk.length; taken++) {
        const { qos, messageId } = await client.next('publish')
        client.send({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId, reasonCode: 0x83 })
      }
    }
    client.acknowledgeAll()
    t.same(await hears(way, client, way.name('t')), ['heard', 'heard again'])
  },
  { versions: [5], settings }
)

onEveryWay(
  'retained messages that SUBSCRIBE brings, again and again',
  async (t, way) => {
    const kept = numbers(LIMIT / 2)
    const publisher = await way.visitor('retainer')
    for (const name of kept) await publisher.publish(way.name(`kept/${name}`), name, { retain: true })
    const client = await open(way)
    for (let times = 0; times < 4; times++) {
      await client.subscribe([[way.name('kept/#'), 1]])
      t.same(payloadsOf(await client.messages(kept.length)).sort(), kept.toSorted())
    }
    t.same(await hears(way, client, way.name('kept/1')), ['heard', 'heard again'])
  },
  { settings }
)
