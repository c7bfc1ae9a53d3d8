// The properties of MQTT 5 that a client may send (section 2.2.2.2).

import { PROTOCOL_ERROR } from './fault.js'
import { FieldReader } from './field-reader.js'
import { isTopicName } from './topics.js'

/** What carries properties, of what a client sends. */
export type Carrier = 'connect' | 'will' | 'publish' | 'puback' | 'pubrec' | 'pubrel' | 'pubcomp' | 'subscribe' | 'unsubscribe' | 'disconnect' | 'auth'

interface Property {
  carriers: readonly Carrier[]
  read: (fields: FieldReader) => unknown
}

/** Identifiers of properties that others look for. */
export const SUBSCRIPTION_IDENTIFIER = 0x0b
export const SESSION_EXPIRY = 0x11
export const TOPIC_ALIAS = 0x23
const USER_PROPERTY = 0x26
const MESSAGE: readonly Carrier[] = ['publish', 'will']
const LOGIN: readonly Carrier[] = ['connect', 'auth']

/** By their identifiers. Those of packets that only a broker sends are not among them. */
const PROPERTIES: ReadonlyMap<number, Property> = new Map<number, Property>([
  [0x01, { carriers: MESSAGE, read: flag }],
  [0x02, { carriers: MESSAGE, read: fields => fields.fourBytes() }],
  [0x03, { carriers: MESSAGE, read: fields => fields.text() }],
  [0x08, { carriers: MESSAGE, read: responseTopic }],
  [0x09, { carriers: MESSAGE, read: fields => fields.binary() }],
  [SUBSCRIPTION_IDENTIFIER, { carriers: ['subscribe', 'publish'], read: subscriptionIdentifier }],
  [SESSION_EXPIRY, { carriers: ['connect', 'disconnect'], read: fields => fields.fourBytes() }],
  [0x15, { carriers: LOGIN, read: fields => fields.text() }],
  [0x16, { carriers: LOGIN, read: fields => fields.binary() }],
  [0x17, { carriers: ['connect'], read: flag }],
  [0x18, { carriers: ['will'], read: fields => fields.fourBytes() }],
  [0x19, { carriers: ['connect'], read: flag }],
  [0x1c, { carriers: ['disconnect'], read: fields => fields.text() }],
  [0x1f, { carriers: ['puback', 'pubrec', 'pubrel', 'pubcomp', 'disconnect', 'auth'], read: fields => fields.text() }],
  [0x21, { carriers: ['connect'], read: fields => nonZero(fields, fields.twoBytes()) }],
  [0x22, { carriers: ['connect'], read: fields => fields.twoBytes() }],
  [TOPIC_ALIAS, { carriers: ['publish'], read: fields => fields.twoBytes() }],
  [0x27, { carriers: ['connect'], read: fields => nonZero(fields, fields.fourBytes()) }]
])

/** Reads the properties of a packet; gives the values of those that it has, by their identifiers. User properties are not among them. */
export function readProperties (fields: FieldReader, carrier: Carrier): ReadonlyMap<number, unknown> {
  const values = new Map<number, unknown>()
  const properties = new FieldReader(fields.skip(fields.varint()))
  while (properties.left > 0) {
    const identifier = properties.varint()
    if (identifier === USER_PROPERTY) {
      properties.text()
      properties.text()
      continue
    }
    const property = PROPERTIES.get(identifier)
    if (property?.carriers.includes(carrier) !== true) properties.refuse(`property ${identifier} is not one of this packet (2.2.2.2)`)
    else if (values.has(identifier)) properties.refuse(`property ${identifier} is there twice`, PROTOCOL_ERROR)
    else values.set(identifier, property.read(properties))
  }
  if (properties.fault !== undefined) fields.refuse(properties.fault.message, properties.fault.reasonCode)
  return values
}

function flag (fields: FieldReader): void {
  if (fields.byte() > 1) fields.refuse('a property that is 0 or 1 is neither', PROTOCOL_ERROR)
}

function nonZero (fields: FieldReader, value: number): void {
  if (value === 0) fields.refuse('a property that must not be 0 is 0', PROTOCOL_ERROR)
}

function responseTopic (fields: FieldReader): void {
  if (!isTopicName(fields.text())) fields.refuse('a response topic has wildcards [MQTT-3.3.2-14]', PROTOCOL_ERROR)
}

function subscriptionIdentifier (fields: FieldReader): void {
  nonZero(fields, fields.varint())
}
