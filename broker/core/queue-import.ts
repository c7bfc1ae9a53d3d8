// Takes over the sessions and queues of a data folder that Aedes' own records were kept in (Artemis 0.1).

import { matches } from '../protocol/topics.js'
import { messageOf, type Message, type MessageSource, type QoS } from './message.js'
import type { Persistence } from './persistence.js'
import {
  encodeQueued,
  encodeSent,
  encodeSession,
  IMPORTED,
  keyOf,
  packetIdOf,
  prefixOf,
  QUEUE,
  queueKey,
  RECEIVED,
  receivedKey,
  RELEASED_RECORD,
  SENT,
  SESSIONS,
  under,
  type QueuedRecord
} from './records.js'
import { NEVER } from './sessions.js'
import type { Store } from './store.js'
import type { Subscription } from './subscription.js'
import { encodeIdentifiers } from './wire.js'

/** As aedes-persistence-level names its keys. */
const OLD = { queue: 'outgoing:', sent: 'outgoing-id:', received: 'incoming:', subscriptions: 'subscriptions:' }
const TAKEN = Buffer.from('taken')
const REMOVED = Buffer.from('removed')
const MAX_PACKET_ID = 65_535

/** A queued packet in the old form; msgpack gives `undefined` back as null. */
type OldPacket = { [Key in keyof MessageSource]: MessageSource[Key] | null } & { cmd: string }

/**
 * Writes old sessions and queues in the new form. The old records stay until {@link removeImported}: what is written
 * is the same each time, so that a broker that is killed on the way begins again.
 *
 * @returns how many messages were taken over; undefined where nothing had to be
 */
export async function importQueues(store: Store, { queued, subscriptions }: Persistence): Promise<number | undefined> {
  if ((await store.get(IMPORTED)) !== undefined) return undefined
  await dropUnfinished(store)
  const clients = await oldClients(store)
  let messages = 0
  for (const clientId of clients) {
    store.put(keyOf(SESSIONS, clientId), encodeSession({ expiry: NEVER, awaySince: Date.now(), start: 0 }))
    messages += await importQueue(store, clientId, queued(clientId), await subscriptions.of(clientId))
    await store.settled()
  }
  for await (const key of store.keys(under(OLD.received))) {
    const clientId = oldClientOf(OLD.received, key)
    if (clients.has(clientId))
      store.put(receivedKey(clientId, Number(key.slice(key.lastIndexOf(':') + 1))), Buffer.alloc(0))
  }
  store.put(IMPORTED, clients.size > 0 ? TAKEN : REMOVED)
  await store.settled()
  return clients.size > 0 ? messages : undefined
}

/** Removes the old records, at a stop in good order. */
export async function removeImported(store: Store): Promise<void> {
  const state = await store.get(IMPORTED)
  if (state?.equals(TAKEN) !== true) return
  for (const prefix of [OLD.queue, OLD.sent, OLD.received])
    for await (const key of store.keys(under(prefix))) store.del(key)
  store.put(IMPORTED, REMOVED)
  await store.settled()
}

/** What an import that was interrupted has left. */
async function dropUnfinished(store: Store): Promise<void> {
  for (const prefix of [SESSIONS, QUEUE, SENT, RECEIVED])
    for await (const key of store.keys(under(prefix))) store.del(key)
}

/** Whoever has subscriptions or a queue. */
async function oldClients(store: Store): Promise<Set<string>> {
  const clients = new Set<string>()
  for (const prefix of [OLD.subscriptions, OLD.queue, OLD.received]) {
    for await (const key of store.keys(under(prefix))) clients.add(oldClientOf(prefix, key))
  }
  return clients
}

function oldClientOf(prefix: string, key: string): string {
  return decodeURIComponent(key.slice(prefix.length, key.indexOf(':', prefix.length)))
}

async function importQueue(
  store: Store,
  clientId: string,
  packets: AsyncIterable<OldPacket>,
  subscriptions: readonly Subscription[]
): Promise<number> {
  let sequence = 0
  let sent = 0
  let count = 0
  for await (const packet of packets) {
    const { cmd, messageId } = packet
    sequence =
      messageId === null || messageId === undefined || messageId < 1 ? sequence + 1 : sequenceWith(messageId, sequence)
    if (messageId) sent = sequence
    const message = messageOf(withoutNulls(packet))
    const { qos, retain, identifiers } = grantedBy(subscriptions, message)
    if (cmd !== 'pubrel' && !messageId && qos === 0) continue
    const record =
      cmd === 'pubrel'
        ? (RELEASED_RECORD as Buffer)
        : encodeQueued({ message, qos: messageId ? message.qos : qos, retain, identifiers, share: '' })
    store.put(queueKey(prefixOf(QUEUE, clientId), sequence, message.queuedBytes), record)
    count++
  }
  if (sent > 0) store.put(keyOf(SENT, clientId), encodeSent(sent))
  return count
}

/** How a message goes to a session [MQTT-3.8.4-8], [MQTT-3.3.4-4]: Aedes kept it as it was published. */
function grantedBy(
  subscriptions: readonly Subscription[],
  { topic, qos, retain }: Message
): Pick<QueuedRecord, 'qos' | 'retain' | 'identifiers'> {
  const levels = topic.split('/')
  const matching = subscriptions.filter(({ filter }) => matches(filter.split('/'), levels))
  return {
    qos:
      matching.length === 0 ? qos : (Math.min(qos, Math.max(...matching.map(subscription => subscription.qos))) as QoS),
    retain: retain && matching.some(({ retainAsPublished }) => retainAsPublished),
    identifiers: encodeIdentifiers(matching.flatMap(({ identifier }) => identifier ?? []))
  }
}

/** The next sequence number whose packet identifier is this one: the client knows the message by it. */
function sequenceWith(packetId: number, after: number): number {
  const next = after + 1
  return next + ((packetId - packetIdOf(next) + MAX_PACKET_ID) % MAX_PACKET_ID)
}

function withoutNulls(packet: OldPacket): MessageSource {
  const { topic, payload, qos, retain, messageExpiry, properties } = packet
  return {
    topic: topic ?? '',
    payload: payload ?? undefined,
    qos: qos ?? 0,
    retain: retain ?? false,
    ...(messageExpiry !== null && messageExpiry !== undefined && { messageExpiry }),
    ...(properties !== null && properties !== undefined && { properties })
  }
}
