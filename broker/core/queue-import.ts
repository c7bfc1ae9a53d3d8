// Takes over the sessions and queues of a data folder that Aedes' own records were kept in (Artemis 0.1).

import { messageOf, type MessageSource } from './message.js'
import type { Persistence } from './persistence.js'
import {
  encodeQueued, encodeSent, encodeSession, IMPORTED, keyOf, packetIdOf, prefixOf, QUEUE, queueKey, RECEIVED, receivedKey, RELEASED_RECORD, SENT,
  SESSIONS, under
} from './records.js'
import { NEVER } from './sessions.js'
import type { Store } from './store.js'

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
export async function importQueues (store: Store, { queued }: Persistence): Promise<number | undefined> {
  if (await store.get(IMPORTED) !== undefined) return undefined
  await dropUnfinished(store)
  const clients = await oldClients(store)
  let messages = 0
  for (const clientId of clients) {
    store.put(keyOf(SESSIONS, clientId), encodeSession({ expiry: NEVER, awaySince: Date.now(), start: 0 }))
    messages += await importQueue(store, clientId, queued(clientId))
    await store.settled()
  }
  for await (const key of store.keys(under(OLD.received))) {
    const clientId = oldClientOf(OLD.received, key)
    if (clients.has(clientId)) store.put(receivedKey(clientId, Number(key.slice(key.lastIndexOf(':') + 1))), Buffer.alloc(0))
  }
  store.put(IMPORTED, clients.size > 0 ? TAKEN : REMOVED)
  await store.settled()
  return clients.size > 0 ? messages : undefined
}

/** Removes the old records, at a stop in good order. */
export async function removeImported (store: Store): Promise<void> {
  const state = await store.get(IMPORTED)
  if (state?.equals(TAKEN) !== true) return
  for (const prefix of [OLD.queue, OLD.sent, OLD.received]) for await (const key of store.keys(under(prefix))) store.del(key)
  store.put(IMPORTED, REMOVED)
  await store.settled()
}

/** What an import that was interrupted has left. */
async function dropUnfinished (store: Store): Promise<void> {
  for (const prefix of [SESSIONS, QUEUE, SENT, RECEIVED]) for await (const key of store.keys(under(prefix))) store.del(key)
}

/** Whoever has subscriptions or a queue. */
async function oldClients (store: Store): Promise<Set<string>> {
  const clients = new Set<string>()
  for (const prefix of [OLD.subscriptions, OLD.queue, OLD.received]) {
    for await (const key of store.keys(under(prefix))) clients.add(oldClientOf(prefix, key))
  }
  return clients
}

function oldClientOf (prefix: string, key: string): string {
  return decodeURIComponent(key.slice(prefix.length, key.indexOf(':', prefix.length)))
}

async function importQueue (store: Store, clientId: string, packets: AsyncIterable<OldPacket>): Promise<number> {
  let sequence = 0
  let sent = 0
  let count = 0
  for await (const packet of packets) {
    const { cmd, messageId } = packet
    sequence = messageId === null || messageId === undefined || messageId < 1 ? sequence + 1 : sequenceWith(messageId, sequence)
    if (messageId) sent = sequence
    const message = messageOf(withoutNulls(packet))
    if (cmd !== 'pubrel' && message.qos === 0) continue
    const record = cmd === 'pubrel' ? RELEASED_RECORD as Buffer : encodeQueued({ message, qos: message.qos, retain: false, identifiers: Buffer.alloc(0), share: '' })
    store.put(queueKey(prefixOf(QUEUE, clientId), sequence, message.queuedBytes), record)
    count++
  }
  if (sent > 0) store.put(keyOf(SENT, clientId), encodeSent(sent))
  return count
}

/** The next sequence number whose packet identifier is this one: the client knows the message by it. */
function sequenceWith (packetId: number, after: number): number {
  const next = after + 1
  return next + (packetId - packetIdOf(next) + MAX_PACKET_ID) % MAX_PACKET_ID
}

function withoutNulls (packet: OldPacket): MessageSource {
  const { topic, payload, qos, messageExpiry, properties } = packet
  return {
    topic: topic ?? '',
    payload: payload ?? undefined,
    qos: qos ?? 0,
    ...messageExpiry != null && { messageExpiry },
    ...properties != null && { properties }
  }
}
