// An application message in the broker, in the form that Aedes hooks expect.

import mqttPacket from 'mqtt-packet'
import {
  CONTENT_TYPE,
  CORRELATION_DATA,
  MESSAGE_EXPIRY,
  PAYLOAD_FORMAT,
  RESPONSE_TOPIC,
  SUBSCRIPTION_IDENTIFIER,
  TOPIC_ALIAS,
  USER_PROPERTY,
  WILL_DELAY,
  readProperties,
  valueOf,
  type Property
} from '../protocol/properties.js'
import { FieldReader } from '../protocol/field-reader.js'

/** Quality of service. */
export type QoS = 0 | 1 | 2

/** Properties by their mqtt-packet names; the order of user properties is lost. */
export type NamedProperties = Record<string, unknown>

/** Input for a message: a PUBLISH or a will, from a hook, a plug-in or the store. */
export interface MessageSource {
  topic: string
  payload?: string | Buffer
  qos?: QoS
  retain?: boolean
  dup?: boolean
  messageId?: number
  clientId?: string
  brokerId?: string
  brokerCounter?: number
  properties?: NamedProperties
  /** Epoch ms; named as in Aedes and aedes-persistence-level. */
  messageExpiry?: number
  /** The forwarded properties, encoded, in their original order. */
  encodedProperties?: Buffer
}

const NO_BYTES = Buffer.alloc(0)
const SECOND_MS = 1_000
const MAX_TOPIC_BYTES = 65_535
/** Properties that are not forwarded as received: they apply to one connection or one will, or are counted down. */
const NOT_FORWARDED: ReadonlySet<number> = new Set([MESSAGE_EXPIRY, TOPIC_ALIAS, SUBSCRIPTION_IDENTIFIER, WILL_DELAY])
/** `NOT_FORWARDED` by name. */
const NOT_FORWARDED_NAMES: ReadonlySet<string> = new Set([
  'messageExpiryInterval',
  'topicAlias',
  'subscriptionIdentifier',
  'willDelayInterval'
])
const NAMES: ReadonlyMap<number, string> = new Map([
  [PAYLOAD_FORMAT, 'payloadFormatIndicator'],
  [MESSAGE_EXPIRY, 'messageExpiryInterval'],
  [CONTENT_TYPE, 'contentType'],
  [RESPONSE_TOPIC, 'responseTopic'],
  [CORRELATION_DATA, 'correlationData'],
  [TOPIC_ALIAS, 'topicAlias'],
  [WILL_DELAY, 'willDelayInterval']
])

/**
 * A message. Hooks may change it until it is authorised; afterwards it is immutable. It has its MQTT 5 properties
 * twice: by name for hooks, and encoded for forwarding.
 */
export class Message {
  readonly cmd = 'publish'
  brokerId = ''
  brokerCounter = 0
  /** The publisher; undefined for the broker itself. */
  clientId: string | undefined = undefined
  topic: string
  payload: Buffer
  qos: QoS
  retain: boolean
  dup = false
  /** Packet identifier used by the publisher. */
  messageId: number | undefined = undefined
  properties: NamedProperties | undefined
  // Private, so that object spread does not copy them: the copy may have other properties.
  #messageExpiry: number
  #encodedProperties: Buffer
  #topicBytes = -1
  #topicMeasured = ''

  constructor(
    topic: string,
    payload: Buffer,
    qos: QoS,
    retain: boolean,
    encodedProperties: Buffer = NO_BYTES,
    messageExpiry = Infinity,
    properties?: NamedProperties
  ) {
    this.topic = topic
    this.payload = payload
    this.qos = qos
    this.retain = retain
    this.#encodedProperties = encodedProperties
    this.#messageExpiry = messageExpiry
    this.properties = properties
  }

  /** When it expires, epoch ms; Infinity: never [MQTT-3.3.2-5]. */
  get messageExpiry(): number {
    return this.#messageExpiry
  }

  /** The forwarded properties, encoded. */
  get encodedProperties(): Buffer {
    return this.#encodedProperties
  }

  /** Encodes the named properties again after a hook has changed them. */
  encode(): void {
    this.#encodedProperties = encodeProperties(this.properties)
    this.#messageExpiry = expiryIn(this.properties)
  }

  /** Length of the topic in UTF-8, bytes. */
  get topicBytes(): number {
    if (this.#topicMeasured !== this.topic) {
      this.#topicMeasured = this.topic
      this.#topicBytes = Buffer.byteLength(this.topic)
    }
    return this.#topicBytes
  }

  /** Size in a queue, bytes: topic, payload, properties and a fixed overhead. */
  get queuedBytes(): number {
    return MESSAGE_OVERHEAD + this.topicBytes + this.payload.length + this.encodedProperties.length
  }

  isExpired(now = Date.now()): boolean {
    return this.messageExpiry <= now
  }
}

const MESSAGE_OVERHEAD = 100

/** Creates a message from a packet, and leaves the packet unchanged. */
export function messageOf(source: MessageSource): Message {
  const { topic, qos = 0, retain = false, properties, encodedProperties, messageExpiry } = source
  // Plug-ins may pass null or other types of byte arrays.
  const payload = source.payload ?? NO_BYTES
  const expiry = messageExpiry ?? expiryIn(properties)
  const message = new Message(
    topic,
    Buffer.isBuffer(payload) ? payload : Buffer.from(payload),
    qos,
    retain,
    encodedProperties ?? encodeProperties(properties),
    expiry,
    properties
  )
  message.clientId = source.clientId
  message.messageId = source.messageId
  message.brokerId = source.brokerId ?? ''
  message.brokerCounter = source.brokerCounter ?? 0
  message.dup = source.dup ?? false
  return message
}

function expiryIn(properties: NamedProperties | undefined): number {
  const seconds = properties?.messageExpiryInterval
  return typeof seconds === 'number' ? Date.now() + seconds * SECOND_MS : Infinity
}

/** Encodes the forwarded properties. mqtt-packet cannot encode properties alone, so this encodes a whole packet. */
export function encodeProperties(properties: NamedProperties | undefined): Buffer {
  if (properties === undefined) return NO_BYTES
  const kept = Object.fromEntries(
    Object.entries(properties).filter(
      ([name, value]) => value !== undefined && value !== null && !NOT_FORWARDED_NAMES.has(name)
    )
  )
  if (Object.keys(kept).length === 0) return NO_BYTES
  const packet = mqttPacket.generate(
    { cmd: 'publish', topic: 'a', payload: '', qos: 0, retain: false, dup: false, properties: kept },
    { protocolVersion: 5 }
  )
  const fields = new FieldReader(packet, 1)
  fields.varint()
  fields.text()
  return forwarded(packet, readProperties(fields, 'will'))
}

/** Returns the bytes of the forwarded properties, in their original order [MQTT-3.3.2-17], [MQTT-3.3.2-18]. */
export function forwarded(bytes: Buffer, properties: readonly Property[]): Buffer {
  const first = properties.at(0)
  const last = properties.at(-1)
  if (first === undefined || last === undefined) return NO_BYTES
  if (properties.every(({ identifier }) => !NOT_FORWARDED.has(identifier))) return bytes.subarray(first.from, last.to)
  return Buffer.concat(
    properties
      .filter(({ identifier }) => !NOT_FORWARDED.has(identifier))
      .map(({ from, to }) => bytes.subarray(from, to))
  )
}

/** Returns properties by their mqtt-packet names; undefined if there are none. */
export function named(properties: readonly Property[]): NamedProperties | undefined {
  if (properties.length === 0) return undefined
  const result: NamedProperties = {}
  let user: NamedProperties | undefined
  for (const { identifier, value } of properties) {
    const name = NAMES.get(identifier)
    if (name !== undefined) result[name] = value
    if (identifier !== USER_PROPERTY) continue
    const [key, text] = value as [string, string]
    user ??= Object.create(null) as NamedProperties
    const before = user[key]
    user[key] = before === undefined ? text : Array.isArray(before) ? [...(before as string[]), text] : [before, text]
  }
  if (user !== undefined) result.userProperties = user
  return result
}

/** Returns when a message with these properties expires, epoch ms; Infinity: never. */
export function expiryOf(properties: readonly Property[]): number {
  const seconds = valueOf(properties, MESSAGE_EXPIRY)
  return typeof seconds === 'number' ? Date.now() + seconds * SECOND_MS : Infinity
}

/** A hook or plug-in created a message that cannot be sent. */
export class InvalidMessage extends Error {
  override readonly name = 'InvalidMessage'
}

/**
 * Checks a message after hooks and plug-ins; converts a text or missing payload to bytes.
 *
 * @throws InvalidMessage
 */
export function checkMessage(message: Message): void {
  const { topic, payload, qos } = message as { topic: unknown; payload: unknown; qos: unknown }
  if (typeof topic !== 'string' || topic === '') throw new InvalidMessage('message without a topic')
  if (topic.length > MAX_TOPIC_BYTES || Buffer.byteLength(topic) > MAX_TOPIC_BYTES)
    throw new InvalidMessage('topic longer than 65,535 bytes')
  if (/[+#\0]/.test(topic)) throw new InvalidMessage('wildcard in a topic [MQTT-3.3.2-2]')
  if (qos !== 0 && qos !== 1 && qos !== 2) throw new InvalidMessage('QoS is not 0, 1 or 2')
  if (payload === null || payload === undefined) message.payload = NO_BYTES
  else if (typeof payload === 'string') message.payload = Buffer.from(payload)
  else if (!Buffer.isBuffer(payload) && !(payload instanceof Uint8Array))
    throw new InvalidMessage('payload is neither text nor bytes')
}
