// Reads and writes PUBLISH packets and their acknowledgements.

import { PacketType } from '../../src/decode/packet-types.js'
import { FieldReader } from '../protocol/field-reader.js'
import { PROTOCOL_ERROR, ProtocolFault } from '../protocol/fault.js'
import { expiryOf, forwarded, Message, named, type QoS } from './message.js'
import { readProperties, SUBSCRIPTION_IDENTIFIER, TOPIC_ALIAS, valueOf } from '../protocol/properties.js'

/** A message to one subscriber. */
export interface Delivery {
  message: Message
  qos: QoS
  retain: boolean
  dup: boolean
  /** 0 with QoS 0. */
  packetId: number
  /** The encoded subscription identifiers [MQTT-3.3.4-4]. */
  identifiers: Buffer
}

const MQTT_5 = 5
const EXPIRY_BYTES = 5
const EXPIRY_IDENTIFIER = 0x02
const SECOND_MS = 1_000
const MAX_EXPIRY_S = 0xffffffff
const PUBREL_FLAGS = 0x02
const DUP_FLAG = 0x08
const WILL_FLAG = 0x04
const TOPIC_ALIAS_INVALID = 0x94
/** Longest UTF-8 string in a packet, bytes [MQTT-1.5.4-1]. */
export const MAX_TEXT_BYTES = 65_535

/** Returns the size of a variable byte integer, bytes [MQTT-1.5.5-1]. */
export function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : 4
}

/** Writes a variable byte integer; returns the offset after it. */
export function writeVarint(into: Buffer, at: number, value: number): number {
  while (value >= 0x80) {
    into[at++] = (value & 0x7f) | 0x80
    value >>>= 7
  }
  into[at++] = value
  return at
}

/** Returns the size of a PUBLISH without its payload, bytes. */
export function publishHeaderBytes(delivery: Delivery, version: number): number {
  const body = bodyBytes(delivery, version)
  return 1 + varintBytes(body) + body - delivery.message.payload.length
}

/** Returns the size of a PUBLISH, bytes. */
export function publishBytes(delivery: Delivery, version: number): number {
  const body = bodyBytes(delivery, version)
  return 1 + varintBytes(body) + body
}

function propertyBytes({ message, identifiers }: Delivery): number {
  return message.encodedProperties.length + identifiers.length + (message.messageExpiry === Infinity ? 0 : EXPIRY_BYTES)
}

function bodyBytes(delivery: Delivery, version: number): number {
  const { message, qos } = delivery
  const body = 2 + message.topicBytes + (qos > 0 ? 2 : 0) + message.payload.length
  if (version !== MQTT_5) return body
  const properties = propertyBytes(delivery)
  return body + varintBytes(properties) + properties
}

/** Writes a PUBLISH up to its payload; returns the offset after it. */
export function writePublishHeader(into: Buffer, at: number, delivery: Delivery, version: number): number {
  const { message, qos, retain, dup, packetId, identifiers } = delivery
  into[at++] = (PacketType.PUBLISH << 4) | (dup ? DUP_FLAG : 0) | (qos << 1) | (retain ? 1 : 0)
  at = writeVarint(into, at, bodyBytes(delivery, version))
  const { topicBytes } = message
  into[at++] = topicBytes >> 8
  into[at++] = topicBytes & 0xff
  at += into.write(message.topic, at)
  if (qos > 0) {
    into[at++] = packetId >> 8
    into[at++] = packetId & 0xff
  }
  if (version !== MQTT_5) return at
  at = writeVarint(into, at, propertyBytes(delivery))
  if (message.messageExpiry !== Infinity) {
    into[at++] = EXPIRY_IDENTIFIER
    // Remaining time, rounded up [MQTT-3.3.2-6].
    at = into.writeUInt32BE(
      Math.min(MAX_EXPIRY_S, Math.max(0, Math.ceil((message.messageExpiry - Date.now()) / SECOND_MS))),
      at
    )
  }
  at += message.encodedProperties.copy(into, at)
  return at + identifiers.copy(into, at)
}

/** Encodes a PUBACK, PUBREC, PUBREL or PUBCOMP; only MQTT 5 clients get the reason code and reason string. */
export function acknowledgement(type: number, packetId: number, version: number, reasonCode = 0, reason = ''): Buffer {
  const first = (type << 4) | (type === PacketType.PUBREL ? PUBREL_FLAGS : 0)
  if (version !== MQTT_5 || reasonCode === 0) return Buffer.from([first, 2, packetId >> 8, packetId & 0xff])
  // The reason of a hook may be too long.
  const text = Buffer.from(Buffer.byteLength(reason) > MAX_TEXT_BYTES ? '' : reason)
  const properties = text.length === 0 ? [] : [0x1f, text.length >> 8, text.length & 0xff]
  const length = properties.length + text.length
  const body = Buffer.alloc(4)
  const lengthEnd = writeVarint(body, 0, length)
  const tail = text.length === 0 ? [reasonCode] : [reasonCode, ...body.subarray(0, lengthEnd), ...properties]
  const header = Buffer.alloc(5)
  header[0] = first
  const headerEnd = writeVarint(header, 1, 2 + tail.length + text.length)
  return Buffer.concat([header.subarray(0, headerEnd), Buffer.from([packetId >> 8, packetId & 0xff, ...tail]), text])
}

/** Encodes subscription identifiers as PUBLISH properties, without duplicates. */
export function encodeIdentifiers(identifiers: Iterable<number>): Buffer {
  const bytes: number[] = []
  const scratch = Buffer.alloc(4)
  for (const identifier of new Set(identifiers))
    bytes.push(0x0b, ...scratch.subarray(0, writeVarint(scratch, 0, identifier)))
  return Buffer.from(bytes)
}

/** A decoded PUBLISH. */
export interface ReadPublish {
  message: Message
  /** Topic alias (MQTT 5); 0: none. */
  alias: number
}

/**
 * Decodes a PUBLISH. Its payload is a view of the same bytes.
 *
 * @param from offset of the body, after the fixed header
 * @param to offset of its end
 * @returns a fault if the packet is invalid
 */
export function readPublish(
  bytes: Buffer,
  header: number,
  from: number,
  to: number,
  version: number
): ReadPublish | ProtocolFault {
  const qos = (header >> 1) & 3
  if (qos === 3) return new ProtocolFault('QoS is 3 [MQTT-3.3.1-4]')
  if ((header & DUP_FLAG) !== 0 && qos === 0) return new ProtocolFault('DUP is set with QoS 0 [MQTT-3.3.1-2]')
  const fields = new FieldReader(bytes, from, to)
  const topic = fields.topicName()
  const packetId = qos > 0 ? fields.packetId() : 0
  let alias = 0
  let properties: Buffer | undefined
  let byName: Message['properties']
  let expiry = Infinity
  if (version === MQTT_5 && fields.left > 0 && bytes[fields.position] === 0) fields.byte()
  else if (version === MQTT_5) {
    const found = readProperties(fields, 'publish')
    if (valueOf(found, SUBSCRIPTION_IDENTIFIER) !== undefined)
      fields.refuse('subscription identifier from a client [MQTT-3.3.4-6]', PROTOCOL_ERROR)
    alias = (valueOf(found, TOPIC_ALIAS) as number | undefined) ?? 0
    if (alias === 0 && found.some(({ identifier }) => identifier === TOPIC_ALIAS))
      fields.refuse('topic alias is 0 [MQTT-3.3.2-8]', TOPIC_ALIAS_INVALID)
    properties = forwarded(bytes, found)
    byName = named(found)
    expiry = expiryOf(found)
  }
  if (topic === '' && alias === 0) fields.refuse('topic is empty [MQTT-4.7.3-1]', PROTOCOL_ERROR)
  if (fields.fault !== undefined) return fields.fault
  const message = new Message(
    topic,
    bytes.subarray(fields.position, to),
    qos as QoS,
    (header & 1) !== 0,
    properties,
    expiry,
    byName
  )
  if (qos > 0) message.messageId = packetId
  message.dup = (header & DUP_FLAG) !== 0
  return { message, alias }
}

/** Returns the forwarded properties of the will in the body of a CONNECT, in their order; empty if there are none. */
export function willPropertiesIn(body: Buffer): Buffer {
  const fields = new FieldReader(body)
  fields.binary()
  const version = fields.byte() & 0x7f
  const flags = fields.byte()
  fields.twoBytes()
  if (version !== MQTT_5 || (flags & WILL_FLAG) === 0) return body.subarray(0, 0)
  fields.skip(fields.varint())
  fields.binary()
  return forwarded(body, readProperties(fields, 'will'))
}
