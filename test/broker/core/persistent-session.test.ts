// A persistent session keeps receiving messages: messages that are done do not fill its queue.

import { numbers, payloadsOf, type SessionClient } from './session-client.js'
import { onEachTransport, type Variant } from './variants.js'

/** Queue limit: low, so that few messages fill the queue. */
const LIMIT = 100
const settings = { limits: { queuedMessages: LIMIT } }
const CHUNKS = Array.from({ length: 6 }, (_, chunk) => Array.from({ length: LIMIT / 4 }, (_, i) => `${chunk} ${i}`))

async function open(variant: Variant): Promise<SessionClient> {
  const client = await variant.connect({ clientId: variant.name('client'), acknowledges: true })
  await client.subscribeMarker()
  return client
}

/** Publishes messages before and after a restart; returns all that arrive, which must be these alone. */
async function receiveMore(variant: Variant, client: SessionClient, topic: string): Promise<string[]> {
  await (await variant.connectClean('publisher')).publish(topic, 'before')
  const got = await client.messagesSoFar()
  const back = await variant.reconnect(client, 'a restart')
  await (await variant.connectClean('publisher')).publish(topic, 'after')
  const more = await back.messagesSoFar()
  // The kill may come before the PUBACK of the last message is stored. Then QoS 1 allows that message to come again.
  if (more.at(0)?.payload === 'before') more.shift()
  return payloadsOf([...got, ...more])
}

/** Publishes more messages than the queue limit, as fast as the client takes them. */
async function publishChunks(
  variant: Variant,
  client: SessionClient,
  retain: boolean,
  chunks = CHUNKS
): Promise<string[]> {
  const publisher = await variant.connectClean('sender')
  const got = []
  for (const chunk of chunks) {
    await publisher.publishAll(variant.name('t'), chunk, { retain })
    got.push(...(await client.messages(chunk.length)))
  }
  return payloadsOf(got)
}

onEachTransport(
  'retained messages to a subscription with Retain As Published',
  async (t, variant) => {
    const client = await open(variant)
    await client.subscribe([[variant.name('t/#'), 1, { rap: true, rh: 2 }]])
    t.same(await publishChunks(variant, client, true), CHUNKS.flat())
    t.same(await receiveMore(variant, client, variant.name('t')), ['before', 'after'])
  },
  { versions: [5], settings }
)

onEachTransport(
  'a thousand retained messages, with the default limit',
  async (t, variant) => {
    const client = await open(variant)
    await client.subscribe([[variant.name('t/#'), 1, { rap: true, rh: 2 }]])
    const chunks = Array.from({ length: 11 }, (_, chunk) => Array.from({ length: 100 }, (_, i) => `${chunk} ${i}`))
    t.same(await publishChunks(variant, client, true, chunks), chunks.flat())
    t.same(await receiveMore(variant, client, variant.name('t')), ['before', 'after'])
  },
  { versions: [5], transports: ['TCP'] }
)

onEachTransport(
  'own messages with No Local [MQTT-3.8.3-3]',
  async (t, variant) => {
    const client = await open(variant)
    await client.subscribe([[variant.name('t'), 1, { nl: true }]])
    await client.publishAll(variant.name('t'), CHUNKS.flat())
    t.same(await receiveMore(variant, client, variant.name('t')), ['before', 'after'])
  },
  { versions: [5], settings }
)

for (const [order, first, second] of [
  ['first', 0, 1],
  ['last', 1, 0]
] as const) {
  onEachTransport(
    `messages that also match a QoS 0 filter, subscribed ${order}`,
    async (t, variant) => {
      const client = await open(variant)
      await client.subscribe([[variant.name('t/#'), first]])
      await client.subscribe([[variant.name('t'), second]])
      t.same(await publishChunks(variant, client, false), CHUNKS.flat())
      t.same(await receiveMore(variant, client, variant.name('t')), ['before', 'after'])
    },
    { settings }
  )
}

onEachTransport(
  'messages that the client rejects [MQTT-4.3.3-4]',
  async (t, variant) => {
    const client = await open(variant)
    client.acknowledges = false
    await client.subscribe([[variant.name('t'), 2]])
    const publisher = await variant.connectClean('sender')
    for (const [index, chunk] of CHUNKS.entries()) {
      await publisher.publishAll(variant.name('t'), chunk, { qos: index % 2 === 0 ? 1 : 2 })
      for (let taken = 0; taken < chunk.length; taken++) {
        const { qos, messageId } = await client.next('publish')
        client.send({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId, reasonCode: 0x83 })
      }
    }
    client.acknowledgeAll()
    t.same(await receiveMore(variant, client, variant.name('t')), ['before', 'after'])
  },
  { versions: [5], settings }
)

onEachTransport(
  'retained messages of repeated SUBSCRIBEs',
  async (t, variant) => {
    const kept = numbers(LIMIT / 2)
    const publisher = await variant.connectClean('retainer')
    for (const name of kept) await publisher.publish(variant.name(`kept/${name}`), name, { retain: true })
    const client = await open(variant)
    for (let times = 0; times < 4; times++) {
      await client.subscribe([[variant.name('kept/#'), 1]])
      t.same(payloadsOf(await client.messages(kept.length)).sort(), kept.toSorted())
    }
    t.same(await receiveMore(variant, client, variant.name('kept/1')), ['before', 'after'])
  },
  { settings }
)
