// Storage format of sessions and their queues: sortable keys and compact records.

import { FieldReader } from '../protocol/field-reader.js'
import { readProperties } from '../protocol/properties.js'
import { Message, named, type QoS } from './message.js'
import { writeVarint } from './wire.js'

/** A persistent session, without its subscriptions and queue. */
export interface SessionRecord {
  /** Session Expiry Interval, seconds. */
  expiry: number
  /** When its client disconnected, epoch ms; 0: connected. */
  disconnectedAt: number
  /** Last sequence number of an earlier session with the same client id: records up to it belong to that session. */
  start: number
}

/** A queued message for one session, with the flags to send it with. */
export interface QueuedRecord {
  message: Message
  qos: QoS
  retain: boolean
  identifiers: Buffer
  /** Its shared subscription, `$share/group/filter`; empty: none. */
  share: string
}

/** Parts of the key of a queued message. */
export interface QueueKey {
  clientId: string
  /** Increases with each message of the session; determines its packet identifier. */
  sequence: number
  /** Size in the queue, bytes. It is part of the key so that a start reads no values. */
  size: number
}

const PREFIX = 'artemis:'
/** Key prefix of sessions, by client id. */
export const SESSIONS = `${PREFIX}session:`
/** Key prefix of queued messages, by client id and sequence number. */
export const QUEUE = `${PREFIX}queue:`
/** Key prefix of the last sequence number sent, by client id: messages up to it are sent again with DUP. */
export const SENT = `${PREFIX}sent:`
/** Key prefix of QoS 2 packet identifiers that clients have not released. */
export const RECEIVED = `${PREFIX}received:`
/** Key that is set once queues of an earlier format are imported. */
export const IMPORTED = `${PREFIX}imported`

const SEQUENCE_DIGITS = 16
const SEPARATOR = ':'
const SESSION_BYTES = 20
const MAX_PACKET_ID = 65_535
/** Record: a byte for type and flags, the expiry, and the variable fields of an MQTT 5 PUBLISH. */
const RELEASED = 0x80
const RETAIN = 0x04
const QOS = 0x03
const EXPIRY_BYTES = 8
/** Length fields: two of 2 bytes and two variable byte integers of up to 4 bytes. */
const LENGTHS_BYTES = 12

/** Returns the range of all keys with a prefix that ends with a colon; the character after a colon is a semicolon. */
export function under(prefix: string): { gte: string; lt: string } {
  return { gte: prefix, lt: `${prefix.slice(0, -1)};` }
}

/** Returns the prefix of a client's keys. */
export function prefixOf(prefix: string, clientId: string): string {
  return `${prefix}${encodeURIComponent(clientId)}${SEPARATOR}`
}

/** Returns the key of a client's only entry with a prefix. */
export function keyOf(prefix: string, clientId: string): string {
  return prefix + encodeURIComponent(clientId)
}

/** Returns the client id in a key of {@link keyOf} or {@link prefixOf}. */
export function clientIdOf(prefix: string, key: string): string {
  const end = key.indexOf(SEPARATOR, prefix.length)
  return decodeURIComponent(key.slice(prefix.length, end < 0 ? undefined : end))
}

/** Returns the key of a queued message. */
export function queueKey(clientPrefix: string, sequence: number, size: number): string {
  return `${clientPrefix}${padded(sequence)}${SEPARATOR}${size}`
}

/** Returns the lower bound of the keys of queued messages from `sequence` on. */
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

/** Returns the packet identifier for a sequence number: never 0. */
export function packetIdOf(sequence: number): number {
  return (sequence % MAX_PACKET_ID) + 1
}

function padded(sequence: number): string {
  return String(sequence).padStart(SEQUENCE_DIGITS, '0')
}

/** Encodes a message to be sent or sent again. */
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

/** Record of a QoS 2 message that the client has received: only its PUBREL is sent again. */
export const RELEASED_RECORD: Readonly<Buffer> = Buffer.from([RELEASED])

/**
 * Decodes the record of a queued message.
 *
 * @returns undefined for a released message
 * @throws RangeError for an invalid record
 */
export function decodeQueued(bytes: Buffer): QueuedRecord | undefined {
  const flags = bytes.at(0) ?? 0
  if ((flags & RELEASED) !== 0) return undefined
  const qos = flags & QOS
  if (qos !== 1 && qos !== 2) throw new RangeError(`invalid QoS of a queued message: ${qos}`)
  const messageExpiry = bytes.readDoubleBE(1)
  const fields = new FieldReader(bytes, 1 + EXPIRY_BYTES)
  const topic = fields.binary().toString()
  const share = fields.binary().toString()
  const encodedProperties = fields.skip(fields.varint())
  const identifiers = fields.skip(fields.varint())
  if (fields.fault !== undefined) throw new RangeError(`invalid queued message: ${fields.fault.message}`)
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

export function encodeSession({ expiry, disconnectedAt, start }: SessionRecord): Buffer {
  const bytes = Buffer.allocUnsafe(SESSION_BYTES)
  bytes.writeUInt32BE(expiry, 0)
  bytes.writeDoubleBE(disconnectedAt, 4)
  bytes.writeDoubleBE(start, 12)
  return bytes
}

/** @throws RangeError if the record is too short */
export function decodeSession(bytes: Buffer): SessionRecord {
  return { expiry: bytes.readUInt32BE(0), disconnectedAt: bytes.readDoubleBE(4), start: bytes.readDoubleBE(12) }
}

export function encodeSent(sequence: number): Buffer {
  const bytes = Buffer.allocUnsafe(EXPIRY_BYTES)
  bytes.writeDoubleBE(sequence, 0)
  return bytes
}

export function decodeSent(bytes: Buffer): number {
  return bytes.readDoubleBE(0)
}
