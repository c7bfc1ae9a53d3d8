// The properties of MQTT 5 that a client may send (section 2.2.2.2).

import { PROTOCOL_ERROR } from './fault.js'
import { FieldReader } from './field-reader.js'
import { isTopicName } from '../../src/topics.js'

/** Packets from clients, and the will, that carry properties. */
export type Carrier =
  | 'connect'
  | 'will'
  | 'publish'
  | 'puback'
  | 'pubrec'
  | 'pubrel'
  | 'pubcomp'
  | 'subscribe'
  | 'unsubscribe'
  | 'disconnect'
  | 'auth'

/** A property and its byte range in the source buffer. */
export interface Property {
  identifier: number
  /** A pair of name and value for a user property. */
  value: unknown
  from: number
  to: number
}

interface PropertyType {
  carriers: readonly Carrier[]
  read: (fields: FieldReader) => unknown
}

/** Identifiers of properties that other modules use. */
export const PAYLOAD_FORMAT = 0x01
export const MESSAGE_EXPIRY = 0x02
export const CONTENT_TYPE = 0x03
export const RESPONSE_TOPIC = 0x08
export const CORRELATION_DATA = 0x09
export const SUBSCRIPTION_IDENTIFIER = 0x0b
export const SESSION_EXPIRY = 0x11
export const WILL_DELAY = 0x18
export const TOPIC_ALIAS = 0x23
export const USER_PROPERTY = 0x26
const MESSAGE: readonly Carrier[] = ['publish', 'will']
const LOGIN: readonly Carrier[] = ['connect', 'auth']

/** By identifier, without those of packets that only servers send. */
const PROPERTIES: ReadonlyMap<number, PropertyType> = new Map<number, PropertyType>([
  [PAYLOAD_FORMAT, { carriers: MESSAGE, read: flag }],
  [MESSAGE_EXPIRY, { carriers: MESSAGE, read: fields => fields.fourBytes() }],
  [CONTENT_TYPE, { carriers: MESSAGE, read: text }],
  [RESPONSE_TOPIC, { carriers: MESSAGE, read: responseTopic }],
  [CORRELATION_DATA, { carriers: MESSAGE, read: fields => fields.binary() }],
  [SUBSCRIPTION_IDENTIFIER, { carriers: ['subscribe', 'publish'], read: subscriptionIdentifier }],
  [SESSION_EXPIRY, { carriers: ['connect', 'disconnect'], read: fields => fields.fourBytes() }],
  [0x15, { carriers: LOGIN, read: text }],
  [0x16, { carriers: LOGIN, read: fields => fields.binary() }],
  [0x17, { carriers: ['connect'], read: flag }],
  [WILL_DELAY, { carriers: ['will'], read: fields => fields.fourBytes() }],
  [0x19, { carriers: ['connect'], read: flag }],
  [0x1c, { carriers: ['disconnect'], read: text }],
  [0x1f, { carriers: ['puback', 'pubrec', 'pubrel', 'pubcomp', 'disconnect', 'auth'], read: text }],
  [0x21, { carriers: ['connect'], read: fields => nonZero(fields, fields.twoBytes()) }],
  [0x22, { carriers: ['connect'], read: fields => fields.twoBytes() }],
  [TOPIC_ALIAS, { carriers: ['publish'], read: fields => fields.twoBytes() }],
  [0x27, { carriers: ['connect'], read: fields => nonZero(fields, fields.fourBytes()) }]
])

/** Reads the properties of a packet, in order. */
export function readProperties(fields: FieldReader, carrier: Carrier): Property[] {
  const found: Property[] = []
  const length = fields.varint()
  const { position } = fields
  const body = fields.skip(length)
  const properties = new FieldReader(body)
  while (properties.left > 0) {
    const from = position + properties.position
    const identifier = properties.varint()
    const value = readValue(properties, identifier, carrier, found)
    found.push({ identifier, value, from, to: position + properties.position })
  }
  if (properties.fault !== undefined) fields.refuse(properties.fault.message, properties.fault.reasonCode)
  return found
}

/** Returns the value of the first property with an identifier; undefined if there is none. */
export function valueOf(properties: readonly Property[], wanted: number): unknown {
  return properties.find(({ identifier }) => identifier === wanted)?.value
}

function readValue(fields: FieldReader, identifier: number, carrier: Carrier, before: readonly Property[]): unknown {
  if (identifier === USER_PROPERTY) return [text(fields), text(fields)]
  const type = PROPERTIES.get(identifier)
  if (type?.carriers.includes(carrier) !== true)
    fields.refuse(`property ${identifier} is not allowed in this packet (2.2.2.2)`)
  else if (before.some(other => other.identifier === identifier))
    fields.refuse(`duplicate property ${identifier}`, PROTOCOL_ERROR)
  else return type.read(fields)
  return undefined
}

function text(fields: FieldReader): string {
  return fields.text().toString()
}

function flag(fields: FieldReader): boolean {
  const value = fields.byte()
  if (value > 1) fields.refuse('a property must be 0 or 1', PROTOCOL_ERROR)
  return value === 1
}

function nonZero(fields: FieldReader, value: number): number {
  if (value === 0) fields.refuse('a property must not be 0', PROTOCOL_ERROR)
  return value
}

function responseTopic(fields: FieldReader): string {
  const topic = fields.text()
  if (!isTopicName(topic)) fields.refuse('a response topic contains wildcards [MQTT-3.3.2-14]', PROTOCOL_ERROR)
  return topic.toString()
}

function subscriptionIdentifier(fields: FieldReader): number {
  return nonZero(fields, fields.varint())
}
