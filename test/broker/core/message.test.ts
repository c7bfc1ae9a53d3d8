// A message keeps the properties for its subscribers, without those of a connection, a will or a subscription.

import t from 'tap'
import {
  encodeProperties,
  expiryOf,
  forwarded,
  messageOf,
  named,
  type NamedProperties
} from '../../../broker/core/message.js'
import { FieldReader } from '../../../broker/protocol/field-reader.js'
import { readProperties, type Property } from '../../../broker/protocol/properties.js'
import { text } from '../../decode/craft-mqtt.js'

const NOT_FORWARDED = { willDelayInterval: 5, topicAlias: 3, subscriptionIdentifier: 7, messageExpiryInterval: 60 }
const FORWARDED = {
  payloadFormatIndicator: true,
  contentType: 'text/plain',
  responseTopic: 'answers/ö',
  correlationData: Buffer.from([0, 255, 1])
}

/** Decodes properties (without their length) of a PUBLISH or a will. */
function read(encoded: Buffer, carrier: 'publish' | 'will' = 'publish'): Property[] {
  const fields = new FieldReader(Buffer.concat([Buffer.from([encoded.length]), encoded]))
  const properties = readProperties(fields, carrier)
  if (fields.fault !== undefined) throw fields.fault
  return properties
}

function user(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x26]), text(name), text(value)])
}

t.test('properties that are not forwarded are not encoded', t => {
  const none = Buffer.alloc(0)
  t.same(encodeProperties(undefined), none)
  t.same(encodeProperties({}), none)
  t.same(encodeProperties(NOT_FORWARDED), none)
  for (const [name, value] of Object.entries(NOT_FORWARDED)) {
    t.same(named(read(encodeProperties({ ...FORWARDED, [name]: value }))), FORWARDED, name)
    t.same(messageOf({ topic: 'a', properties: { [name]: value } }).encodedProperties, none, name)
  }
  t.same(named(read(encodeProperties({ ...NOT_FORWARDED, ...FORWARDED, userProperties: { b: ['1', '2'], a: '3' } }))), {
    ...FORWARDED,
    userProperties: { b: ['1', '2'], a: '3' }
  })
  t.same(
    messageOf({ topic: 'a', properties: { ...NOT_FORWARDED, ...FORWARDED } }).encodedProperties,
    encodeProperties(FORWARDED)
  )
  t.same(
    named(read(encodeProperties({ ...FORWARDED, responseTopic: undefined, contentType: null }))),
    { payloadFormatIndicator: true, correlationData: FORWARDED.correlationData },
    'null and undefined are skipped'
  )
  t.end()
})

t.test(
  'received properties are forwarded in their order, without those that are not forwarded [MQTT-3.3.2-17], [MQTT-3.3.2-18]',
  t => {
    const parts = [
      user('x', '1'),
      Buffer.from([0x02, 0, 0, 0, 9]),
      user('y', '2'),
      Buffer.concat([Buffer.from([0x03]), text('t')]),
      Buffer.from([0x23, 0, 4]),
      user('x', '3')
    ]
    const bytes = Buffer.concat([Buffer.from('before'), ...parts, Buffer.from('after')])
    const found = read(Buffer.concat(parts)).map(property => ({
      ...property,
      from: property.from + 5,
      to: property.to + 5
    }))
    t.same(forwarded(bytes, found), Buffer.concat([parts[0], parts[2], parts[3], parts[5]]))
    t.same(forwarded(bytes, []), Buffer.alloc(0))
    const encoded = Buffer.concat([parts[0], parts[2], parts[5]])
    t.same(forwarded(Buffer.concat([Buffer.from([encoded.length]), encoded]), read(encoded)), encoded)
    const will = Buffer.concat([Buffer.from([0x18, 0, 0, 0, 5]), parts[0]])
    t.same(forwarded(Buffer.concat([Buffer.from([will.length]), will]), read(will, 'will')), parts[0])
    t.end()
  }
)

t.test('user properties by name, repeated and unusual names', t => {
  t.equal(named([]), undefined)
  const properties = named(
    read(
      Buffer.concat([
        user('__proto__', 'a'),
        user('constructor', 'b'),
        user('__proto__', 'c'),
        user('toString', 'd'),
        user('__proto__', 'e'),
        user('', '')
      ])
    )
  )
  const users = properties?.userProperties as NamedProperties
  t.equal(Object.getPrototypeOf(users), null)
  t.same(Object.entries(users), [
    ['__proto__', ['a', 'c', 'e']],
    ['constructor', 'b'],
    ['toString', 'd'],
    ['', '']
  ])
  t.notOk('a' in {}, 'no prototype pollution')
  const again = named(read(encodeProperties({ userProperties: users })))?.userProperties as NamedProperties
  t.same(Object.entries(again), Object.entries(users))
  t.end()
})

t.test('a message from a minimal and from a full packet', t => {
  t.match(messageOf({ topic: 'a' }), {
    cmd: 'publish',
    topic: 'a',
    payload: Buffer.alloc(0),
    qos: 0,
    retain: false,
    dup: false,
    messageExpiry: Infinity,
    clientId: undefined,
    messageId: undefined,
    brokerId: '',
    brokerCounter: 0
  })
  const source = {
    topic: 'a/ö',
    payload: 'text',
    qos: 2,
    retain: true,
    dup: true,
    messageId: 9,
    clientId: 'c',
    brokerId: 'b',
    brokerCounter: 3,
    properties: { ...FORWARDED },
    messageExpiry: 1_000
  } as const
  const before = JSON.stringify(source)
  const message = messageOf(source)
  t.match(message, { ...source, payload: Buffer.from('text') })
  t.equal(message.topicBytes, 4)
  message.topic = 'longer'
  t.equal(message.topicBytes, 6, 'measured again after a change')
  t.equal(JSON.stringify(source), before, 'the packet is unchanged')
  t.same(
    messageOf({ topic: 'a', properties: FORWARDED, encodedProperties: Buffer.from([1, 0]) }).encodedProperties,
    Buffer.from([1, 0]),
    'encoded properties are kept'
  )
  t.end()
})

t.test('payloads of plug-ins: null and other byte arrays are accepted, numbers are not', t => {
  const payloadOf = (payload: unknown): Buffer => messageOf({ topic: 'a', payload: payload as Buffer }).payload
  t.same(payloadOf(null), Buffer.alloc(0))
  t.same(payloadOf(''), Buffer.alloc(0))
  for (const payload of [new Uint8Array([1, 2]), [1, 2], Buffer.from([1, 2])]) {
    t.ok(Buffer.isBuffer(payloadOf(payload)))
    t.same(payloadOf(payload), Buffer.from([1, 2]))
  }
  t.throws(() => payloadOf(5))
  t.end()
})

t.test('message expiry [MQTT-3.3.2-5]', t => {
  const before = Date.now()
  const { messageExpiry } = messageOf({ topic: 'a', properties: { messageExpiryInterval: 10 } })
  t.ok(messageExpiry >= before + 10_000 && messageExpiry <= Date.now() + 10_000)
  t.equal(
    messageOf({ topic: 'a', properties: { messageExpiryInterval: 10 }, messageExpiry: 5 }).messageExpiry,
    5,
    'a given expiry is kept'
  )
  const message = messageOf({ topic: 'a', messageExpiry: 1_000 })
  t.same([message.isExpired(999), message.isExpired(1_000), message.isExpired()], [false, true, true])
  t.equal(messageOf({ topic: 'a' }).isExpired(), false)
  t.equal(expiryOf(read(Buffer.from([0x01, 1]))), Infinity)
  const expiry = expiryOf(read(Buffer.from([0x02, 0, 0, 1, 0])))
  t.ok(expiry >= before + 256_000 && expiry <= Date.now() + 256_000)
  t.equal(expiryOf(read(Buffer.from([0x02, 0xff, 0xff, 0xff, 0xff]))) > Date.now() + 4_294_967_000_000, true)
  t.end()
})

t.test('queuedBytes includes payload, topic and properties', t => {
  const bytes = (rest: object): number => messageOf({ topic: 'a', ...rest }).queuedBytes
  const minimum = bytes({})
  t.ok(minimum > 1)
  t.equal(bytes({ payload: Buffer.alloc(1_000) }), minimum + 1_000)
  t.equal(bytes({ topic: 'ö'.repeat(100) }), minimum + 199)
  t.equal(bytes({ properties: { contentType: 'x'.repeat(97) } }), minimum + 100)
  t.end()
})
