// The stored forms of sessions and of what waits for them: keys that sort, and records of a few bytes.

import { FieldReader } from '../protocol/field-reader.js'
import { readProperties } from '../protocol/properties.js'
import { Message, named, type QoS } from './message.js'
import { writeVarint } from './wire.js'

/** What is kept of a session that lasts, besides its subscriptions and its queue. */
export interface SessionRecord {
  /** Session Expiry Interval, seconds. */
  expiry: number
  /** Since when nobody is connected, epoch ms; 0: somebody is. */
  awaySince: number
  /** The last sequence number of an earlier session of the same name: what lies up to there is not part of this one. */
  start: number
}

/** A queued message as it is sent: to one session, with its own flags. */
export interface QueuedRecord {
  message: Message
  qos: QoS
  retain: boolean
  identifiers: Buffer
  /** The shared subscription that it came through, `$share/group/filter`; empty: none. */
  share: string
}

/** Where a queued message lies. */
export interface QueueKey {
  clientId: string
  /** Grows with each message of the session; its packet identifier follows from it. */
  sequence: number
  /** Bytes that it counts for in the queue: in the key, so that a start reads no values. */
  size: number
}

const PREFIX = 'artemis:'
/** Sessions by client id. */
export const SESSIONS = `${PREFIX}session:`
/** Messages by client id and sequence number. */
export const QUEUE = `${PREFIX}queue:`
/** The last sequence number that was sent, by client id: what comes before it goes out again with DUP. */
export const SENT = `${PREFIX}sent:`
/** Packet identifiers of QoS 2 that clients have yet to release. */
export const RECEIVED = `${PREFIX}received:`
/** Set once the queues of an earlier format are taken over. */
export const IMPORTED = `${PREFIX}imported`

const SEQUENCE_DIGITS = 16
const SEPARATOR = ':'
const SESSION_BYTES = 20
const MAX_PACKET_ID = 65_535
/** Records: a byte for what it is and its flags, the expiry, and the variable part of a PUBLISH of MQTT 5. */
const RELEASED = 0x80
const RETAIN = 0x04
const QOS = 0x03
const EXPIRY_BYTES = 8
/** Two of two bytes, and two variable ones. */
const LENGTHS_BYTES = 12

/** All keys under a prefix, which ends with a colon: the next character is a semicolon. */
export function under(prefix: string): { gte: string; lt: string } {
  return { gte: prefix, lt: `${prefix.slice(0, -1)};` }
}

/** The keys of one client under a prefix. */
export function prefixOf(prefix: string, clientId: string): string {
  return `${prefix}${encodeURIComponent(clientId)}${SEPARATOR}`
}

/** The key of a client's only entry under a prefix. */
export function keyOf(prefix: string, clientId: string): string {
  return prefix + encodeURIComponent(clientId)
}

/** The client that such a key names. */
export function clientIdOf(prefix: string, key: string): string {
  const end = key.indexOf(SEPARATOR, prefix.length)
  return decodeURIComponent(key.slice(prefix.length, end < 0 ? undefined : end))
}

/** The key of a queued message, after the prefix of its client. */
export function queueKey(clientPrefix: string, sequence: number, size: number): string {
  return `${clientPrefix}${padded(sequence)}${SEPARATOR}${size}`
}

/** Sorts before the queued messages from `sequence` on. */
export function queueStart(clientPrefix: string, sequence: number): string {
  return clientPrefix + padded(sequence)
}

export function readQueueKey(key: string): QueueKey {
  const [client = '', sequence, size] = key.slice(QUEUE.length).split(SEPARATOR)
  return { clientId: decodeURIComponent(client), sequence: Number(sequence), size: Number(size) }
}

export function receivedKey(clientId: string, packetId: number): string {
  return prefixOf(RECEIVED, clientId) + String(packetId)
}

/** The packet identifier that belongs to a sequence number: never 0. */
export function packetIdOf(sequence: number): number {
  return (sequence % MAX_PACKET_ID) + 1
}

function padded(sequence: number): string {
  return String(sequence).padStart(SEQUENCE_DIGITS, '0')
}

/** A message that is to be sent, or sent again. */
export function encodeQueued({ message, qos, retain, identifiers, share }: QueuedRecord): Buffer {
  const { topic, topicBytes, payload, encodedProperties, messageExpiry } = message
  const shareBytes = Buffer.byteLength(share)
  const variable = topicBytes + shareBytes + encodedProperties.length + identifiers.length + payload.length
  const bytes = Buffer.allocUnsafe(1 + EXPIRY_BYTES + LENGTHS_BYTES + variable)
  bytes[0] = qos | (retain ? RETAIN : 0)
  let at = bytes.writeDoubleBE(messageExpiry, 1)
  at = bytes.writeUInt16BE(topicBytes, at)
  at += bytes.write(topic, at)
  at = bytes.writeUInt16BE(shareBytes, at)
  at += bytes.write(share, at)
  at = writeVarint(bytes, at, encodedProperties.length)
  at += encodedProperties.copy(bytes, at)
  at = writeVarint(bytes, at, identifiers.length)
  at += identifiers.copy(bytes, at)
  at += payload.copy(bytes, at)
  return bytes.subarray(0, at)
}

/** A message of QoS 2 that its receiver has: only its PUBREL goes out again. */
export const RELEASED_RECORD: Readonly<Buffer> = Buffer.from([RELEASED])

/**
 * Reads a record.
 *
 * @returns undefined for a message that is released
 * @throws RangeError for what is none
 */
export function decodeQueued(bytes: Buffer): QueuedRecord | undefined {
  const flags = bytes.at(0) ?? 0
  if ((flags & RELEASED) !== 0) return undefined
  const qos = flags & QOS
  if (qos !== 1 && qos !== 2) throw new RangeError(`a queued message has QoS ${qos}`)
  const messageExpiry = bytes.readDoubleBE(1)
  const fields = new FieldReader(bytes, 1 + EXPIRY_BYTES)
  const topic = fields.binary().toString()
  const share = fields.binary().toString()
  const encodedProperties = fields.skip(fields.varint())
  const identifiers = fields.skip(fields.varint())
  if (fields.fault !== undefined) throw new RangeError(`a queued message cannot be read: ${fields.fault.message}`)
  const payload = bytes.subarray(fields.position)
  const message = new Message(
    topic,
    payload,
    qos,
    (flags & RETAIN) !== 0,
    encodedProperties,
    messageExpiry,
    namedOf(encodedProperties)
  )
  return { message, qos, retain: message.retain, identifiers, share }
}

function namedOf(encoded: Buffer): Message['properties'] {
  if (encoded.length === 0) return undefined
  const length = Buffer.alloc(4)
  const end = writeVarint(length, 0, encoded.length)
  return named(readProperties(new FieldReader(Buffer.concat([length.subarray(0, end), encoded])), 'publish'))
}

export function encodeSession({ expiry, awaySince, start }: SessionRecord): Buffer {
  const bytes = Buffer.allocUnsafe(SESSION_BYTES)
  bytes.writeUInt32BE(expiry, 0)
  bytes.writeDoubleBE(awaySince, 4)
  bytes.writeDoubleBE(start, 12)
  return bytes
}

/** @throws RangeError for what is too short */
export function decodeSession(bytes: Buffer): SessionRecord {
  return { expiry: bytes.readUInt32BE(0), awaySince: bytes.readDoubleBE(4), start: bytes.readDoubleBE(12) }
}

export function encodeSent(sequence: number): Buffer {
  const bytes = Buffer.allocUnsafe(EXPIRY_BYTES)
  bytes.writeDoubleBE(sequence, 0)
  return bytes
}

export function decodeSent(bytes: Buffer): number {
  return bytes.readDoubleBE(0)
}
