// Imports sessions and queues from a data folder in Aedes' format (Artemis 0.1).

import { matches } from '../../src/topics.js'
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

/** Key prefixes of aedes-persistence-level. */
const OLD = { queue: 'outgoing:', sent: 'outgoing-id:', received: 'incoming:', subscriptions: 'subscriptions:' }
const IMPORT_DONE = Buffer.from('taken')
const OLD_REMOVED = Buffer.from('removed')
const MAX_PACKET_ID = 65_535

/** A queued packet in the old format; msgpack decodes `undefined` as null. */
type OldPacket = { [Key in keyof MessageSource]: MessageSource[Key] | null } & { cmd: string }

/**
 * Writes old sessions and queues in the new format. The old records stay until {@link removeImported}. The result is
 * the same each time, so an import that was killed can start again.
 *
 * @returns number of imported messages; undefined if there was nothing to import
 */
export async function importQueues(store: Store, { queued, subscriptions }: Persistence): Promise<number | undefined> {
  if ((await store.get(IMPORTED)) !== undefined) return undefined
  await dropUnfinished(store)
  const clients = await oldClients(store)
  let messages = 0
  for (const clientId of clients) {
    store.put(keyOf(SESSIONS, clientId), encodeSession({ expiry: NEVER, disconnectedAt: Date.now(), start: 0 }))
    messages += await importQueue(store, clientId, queued(clientId), await subscriptions.get(clientId))
    await store.settled()
  }
  for await (const key of store.keys(under(OLD.received))) {
    const clientId = oldClientOf(OLD.received, key)
    if (clients.has(clientId))
      store.put(receivedKey(clientId, Number(key.slice(key.lastIndexOf(':') + 1))), Buffer.alloc(0))
  }
  store.put(IMPORTED, clients.size > 0 ? IMPORT_DONE : OLD_REMOVED)
  await store.settled()
  return clients.size > 0 ? messages : undefined
}

/** Removes the old records; called at a clean shutdown. */
export async function removeImported(store: Store): Promise<void> {
  const state = await store.get(IMPORTED)
  if (state?.equals(IMPORT_DONE) !== true) return
  for (const prefix of [OLD.queue, OLD.sent, OLD.received])
    for await (const key of store.keys(under(prefix))) store.del(key)
  store.put(IMPORTED, OLD_REMOVED)
  await store.settled()
}

/** Removes the records of an interrupted import. */
async function dropUnfinished(store: Store): Promise<void> {
  for (const prefix of [SESSIONS, QUEUE, SENT, RECEIVED])
    for await (const key of store.keys(under(prefix))) store.del(key)
}

/** Returns the ids of clients that have subscriptions, a queue or unreleased messages. */
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

/** Delivery options for a session [MQTT-3.8.4-8], [MQTT-3.3.4-4]: Aedes stored the message as published. */
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

/** Returns the next sequence number that has the packet identifier under which the client knows the message. */
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
