// Encodes and decodes packets, and compares with mqtt-packet.

import mqttPacket, { type IConnectPacket, type IPublishPacket, type Packet } from 'mqtt-packet'
import t from 'tap'
import { encodeProperties, messageOf, type MessageSource, type QoS } from '../../../broker/core/message.js'
import {
  acknowledgement,
  encodeIdentifiers,
  publishBytes,
  publishHeaderBytes,
  readPublish,
  varintBytes,
  willPropertiesIn,
  writePublishHeader,
  writeVarint,
  type Delivery,
  type ReadPublish
} from '../../../broker/core/wire.js'
import { ProtocolFault } from '../../../broker/protocol/fault.js'
import { PACKET_TYPE_NAMES } from '../../../src/decode/packet-types.js'
import { Random } from '../../../models/random.js'
import { packet, text } from '../../decode/craft-mqtt.js'

/** Characters of one to four bytes. */
const CHARACTERS = ['a', 'Z', '0', ' ', '/', '-', '$', 'ö', 'ß', '中', '€', '😀']
/** Payload sizes around each at which the remaining length takes another byte. */
const PAYLOADS = [0, 1, 100, 126, 127, 128, 129, 200, 16_300, 16_383, 16_384, 16_385, 70_000]
const GARBAGE = Buffer.alloc(40, 0xee)
const CONNECT: IConnectPacket = {
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 5,
  clientId: 'c',
  clean: true,
  keepalive: 60
}

function words(random: Random, length: number): string {
  return Array.from({ length }, () => CHARACTERS[random.integer(CHARACTERS.length)]).join('')
}

function chance(random: Random): boolean {
  return random.integer(2) === 0
}

function randomProperties(random: Random): NonNullable<MessageSource['properties']> {
  return {
    ...(chance(random) && { payloadFormatIndicator: chance(random) }),
    ...(chance(random) && { contentType: words(random, random.integer(20)) }),
    ...(chance(random) && { responseTopic: words(random, 1 + random.integer(20)) }),
    ...(chance(random) && { correlationData: Buffer.from(words(random, random.integer(200))) }),
    ...(chance(random) && {
      userProperties: Object.fromEntries(
        Array.from({ length: 1 + random.integer(4) }, (_, i) => [
          `${i}${words(random, random.integer(5))}`,
          chance(random) ? words(random, random.integer(40)) : [words(random, 3), words(random, 3)]
        ])
      )
    })
  }
}

function randomMessage(random: Random): MessageSource {
  return {
    topic: words(random, 1 + random.integer(random.integer(10) === 0 ? 300 : 20)),
    payload: Buffer.alloc(PAYLOADS[random.integer(PAYLOADS.length)], words(random, 5)),
    qos: random.integer(3) as QoS,
    retain: chance(random),
    ...(chance(random) && { properties: randomProperties(random) })
  }
}

/** Decodes exactly one packet. */
function parse(bytes: Buffer, version: number): Packet {
  const parser = mqttPacket.parser({ protocolVersion: version })
  const found: Packet[] = []
  parser.on('packet', one => {
    found.push(one)
  })
  parser.on('error', error => {
    throw error
  })
  const left = parser.parse(Buffer.from(bytes))
  if (found.length !== 1 || left !== 0) throw new Error(`${found.length} packets, and ${left} bytes left`)
  return found[0]
}

/** Encodes a whole PUBLISH into a larger buffer, which must not change elsewhere. */
function written(delivery: Delivery, version: number): Buffer {
  const header = publishHeaderBytes(delivery, version)
  const into = Buffer.concat([GARBAGE, Buffer.alloc(header, 0xdd), GARBAGE])
  const end = writePublishHeader(into, GARBAGE.length, delivery, version)
  if (end !== GARBAGE.length + header) throw new Error(`${end - GARBAGE.length} bytes are written, not ${header}`)
  if (!into.subarray(0, GARBAGE.length).equals(GARBAGE) || !into.subarray(end).equals(GARBAGE))
    throw new Error('written outside its range')
  return Buffer.concat([into.subarray(GARBAGE.length, end), delivery.message.payload])
}

/** Decodes a whole PUBLISH as the link does. */
function read(bytes: Buffer, version: number): ReadPublish | ProtocolFault {
  let at = 1
  while (bytes[at] >= 0x80) at++
  return readPublish(
    Buffer.concat([GARBAGE, bytes, GARBAGE]),
    bytes[0],
    GARBAGE.length + at + 1,
    GARBAGE.length + bytes.length,
    version
  )
}

/** Formats properties independently of their order and prototype. */
function textOf(properties: object = {}): string {
  return JSON.stringify(properties, (_, value: unknown) =>
    typeof value !== 'object' || value === null || Array.isArray(value)
      ? value
      : Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
  )
}

t.test('mqtt-packet decodes an encoded PUBLISH, in both versions', t => {
  const random = new Random(6)
  for (let i = 0; i < 1_500; i++) {
    const source = randomMessage(random)
    const expires = chance(random) ? Date.now() + random.integer(100_000_000) : Infinity
    const message = messageOf({ ...source, messageExpiry: expires })
    const qos = random.integer(3) as QoS
    const identifiers = Array.from({ length: random.integer(3) }, () => 1 + random.integer(268_435_455))
    const delivery: Delivery = {
      message,
      qos,
      retain: chance(random),
      dup: qos > 0 && chance(random),
      packetId: qos === 0 ? 0 : 1 + random.integer(65_535),
      identifiers: encodeIdentifiers(identifiers)
    }
    for (const version of [4, 5]) {
      const before = Date.now()
      const bytes = written(delivery, version)
      const after = Date.now()
      const { topic, payload, ...found } = parse(bytes, version) as IPublishPacket
      const { messageExpiryInterval, subscriptionIdentifier, ...others } = found.properties ?? {}
      const isSame =
        topic === source.topic &&
        message.payload.equals(payload as Buffer) &&
        found.qos === qos &&
        found.retain === delivery.retain &&
        found.dup === delivery.dup &&
        (found.messageId ?? 0) === delivery.packetId &&
        bytes.length === publishBytes(delivery, version) &&
        textOf(others) === textOf(version === 5 ? source.properties : {}) &&
        JSON.stringify([subscriptionIdentifier ?? []].flat()) === JSON.stringify(version === 5 ? identifiers : [])
      const left = [before, after].map(now => Math.ceil((expires - now) / 1_000))
      const isInTime =
        version === 4 || expires === Infinity
          ? messageExpiryInterval === undefined
          : (messageExpiryInterval ?? NaN) <= left[0] && (messageExpiryInterval ?? NaN) >= left[1]
      if (!isSame || !isInTime) t.same({ topic, ...found }, { ...delivery, left }, `message ${i}, version ${version}`)
    }
  }
  t.pass('all')
  t.end()
})

t.test('the remaining expiry is between 0 and its maximum [MQTT-3.3.2-6]', t => {
  const intervalOf = (messageExpiry: number): unknown => {
    const delivery = {
      message: messageOf({ topic: 'a', messageExpiry }),
      qos: 0,
      retain: false,
      dup: false,
      packetId: 0,
      identifiers: Buffer.alloc(0)
    } as const
    return (parse(written(delivery, 5), 5) as IPublishPacket).properties?.messageExpiryInterval
  }
  t.equal(intervalOf(Date.now() - 5_000), 0)
  t.equal(intervalOf(Date.now() + 1e15), 0xffffffff)
  t.equal(intervalOf(Date.now() + 900), 1, 'rounded up')
  t.end()
})

t.test('a PUBLISH of mqtt-packet is decoded, and forwarded with its properties', t => {
  const random = new Random(7)
  for (let i = 0; i < 1_500; i++) {
    const version = chance(random) ? 4 : 5
    const source = randomMessage(random)
    const qos = source.qos as QoS
    const messageId = qos === 0 ? undefined : 1 + random.integer(65_535)
    const alias = version === 5 && chance(random) ? 1 + random.integer(65_535) : 0
    const expiry = version === 5 && chance(random) ? random.integer(2 ** 32) : undefined
    const sent: IPublishPacket = {
      ...(source as IPublishPacket),
      cmd: 'publish',
      dup: qos > 0 && chance(random),
      ...(messageId !== undefined && { messageId }),
      properties:
        version === 4
          ? undefined
          : {
              ...source.properties,
              ...(alias > 0 && { topicAlias: alias }),
              ...(expiry !== undefined && { messageExpiryInterval: expiry })
            }
    }
    const before = Date.now()
    const bytes = mqttPacket.generate(sent, { protocolVersion: version })
    const found = read(bytes, version)
    if (found instanceof ProtocolFault) {
      t.fail(`message ${i}: ${found.message}`)
      continue
    }
    const { message } = found
    const left = expiry === undefined ? Infinity : message.messageExpiry - expiry * 1_000
    const isSame =
      message.topic === sent.topic &&
      message.payload.equals(sent.payload as Buffer) &&
      message.qos === qos &&
      message.retain === sent.retain &&
      message.dup === sent.dup &&
      message.messageId === messageId &&
      found.alias === alias &&
      textOf(message.properties) === textOf(sent.properties) &&
      (expiry === undefined ? message.messageExpiry === Infinity : left >= before && left <= Date.now())
    if (!isSame) t.same(message, sent, `message ${i}`)
    const again = parse(
      written({ message, qos, retain: false, dup: false, packetId: messageId ?? 0, identifiers: Buffer.alloc(0) }, 5),
      5
    ) as IPublishPacket
    const forwarded = textOf({ ...again.properties, messageExpiryInterval: undefined })
    const expected = version === 5 ? textOf(source.properties) : '{}'
    if (forwarded !== expected) t.equal(forwarded, expected, `message ${i} forwarded`)
  }
  t.pass('all')
  t.end()
})

t.test('randomly changed bytes are refused or decoded like mqtt-packet, and never throw', t => {
  const random = new Random(8)
  const counts = { refused: 0, read: 0 }
  for (let i = 0; i < 4_000; i++) {
    const version = chance(random) ? 4 : 5
    const source = { ...randomMessage(random), payload: Buffer.from('payload') }
    const bytes = mqttPacket.generate(
      {
        ...source,
        cmd: 'publish',
        dup: false,
        messageId: 1,
        properties: version === 5 ? source.properties : undefined
      } as IPublishPacket,
      { protocolVersion: version }
    )
    const headerEnd = bytes.findIndex((byte, at) => at > 0 && byte < 0x80) + 1
    for (let changes = 1 + random.integer(2); changes > 0; changes--) {
      const at = random.integer(bytes.length - headerEnd + 1)
      if (at === 0) bytes[0] = 0x30 | random.integer(16)
      else
        bytes[headerEnd + at - 1] = chance(random)
          ? random.integer(256)
          : bytes[headerEnd + at - 1] ^ (1 << random.integer(8))
    }
    const found = read(bytes, version)
    if (found instanceof ProtocolFault) {
      counts.refused++
      continue
    }
    counts.read++
    const { topic, payload, qos, retain, messageId } = parse(bytes, version) as IPublishPacket
    const { message } = found
    const isSame =
      message.topic === topic &&
      message.payload.equals(payload as Buffer) &&
      message.qos === qos &&
      message.retain === retain &&
      message.messageId === messageId
    if (!isSame) t.same(message, { topic, payload, qos, retain, messageId }, bytes.toString('hex'))
  }
  t.ok(counts.refused > 1_000 && counts.read > 500, JSON.stringify(counts))
  t.end()
})

t.test('a PUBLISH that is truncated before its payload is refused', t => {
  const complete = mqttPacket.generate(
    {
      cmd: 'publish',
      topic: 'a/ö',
      payload: '',
      qos: 1,
      retain: false,
      dup: false,
      messageId: 7,
      properties: {
        messageExpiryInterval: 5,
        responseTopic: 'r',
        correlationData: Buffer.from('c'),
        userProperties: { a: 'b' }
      }
    },
    { protocolVersion: 5 }
  )
  t.notOk(read(complete, 5) instanceof ProtocolFault)
  for (let end = 2; end < complete.length; end++)
    t.ok(read(complete.subarray(0, end), 5) instanceof ProtocolFault, `${end} of ${complete.length} bytes`)
  t.end()
})

t.test('an invalid PUBLISH is refused with the reason code', t => {
  const publish = (header: number, topic: Uint8Array, ...rest: number[]): Buffer =>
    packet(header, Buffer.concat([topic, Buffer.from(rest)]))
  const [a, longest] = [text('a'), text('x'.repeat(65_535))]
  const cases: [string, number, Buffer, number | undefined][] = [
    ['QoS 3 [MQTT-3.3.1-4]', 4, publish(0x36, a, 0, 1), 0x81],
    ['DUP with QoS 0 [MQTT-3.3.1-2]', 4, publish(0x38, a), 0x81],
    ['a packet identifier of 0 [MQTT-2.2.1-3]', 4, publish(0x32, a, 0, 0), 0x82],
    ['no packet identifier', 4, publish(0x32, a, 1), 0x81],
    ['a wildcard [MQTT-3.3.2-2]', 4, publish(0x30, text('a/+/b')), 0x81],
    ['another [MQTT-3.3.2-2]', 4, publish(0x30, text('ö/#')), 0x81],
    ['no topic [MQTT-4.7.3-1]', 4, publish(0x30, text('')), 0x82],
    ['no topic and no alias', 5, publish(0x30, text(''), 0), 0x82],
    ['a topic that is not valid UTF-8 [MQTT-1.5.4-1]', 4, publish(0x30, Buffer.from([0, 2, 0xc3, 0x28])), 0x81],
    ['U+0000 in a topic [MQTT-1.5.4-2]', 4, publish(0x30, text('a\0b')), 0x81],
    ['a surrogate [MQTT-1.5.4-1]', 4, publish(0x30, Buffer.from([0, 3, 0xed, 0xa0, 0x80])), 0x81],
    ['a topic longer than the packet', 4, publish(0x30, Buffer.from([0, 9, 0x61])), 0x81],
    ['no length of properties', 5, publish(0x30, a), 0x81],
    ['properties longer than the packet', 5, publish(0x30, a, 9, 0x01), 0x81],
    ['an alias of 0 [MQTT-3.3.2-8]', 5, publish(0x30, a, 3, 0x23, 0, 0), 0x94],
    ['a subscription identifier from a client [MQTT-3.3.4-6]', 5, publish(0x30, a, 2, 0x0b, 1), 0x82],
    ['a property twice', 5, publish(0x30, a, 4, 0x01, 0, 0x01, 1), 0x82],
    ['a property of another packet type', 5, publish(0x30, a, 5, 0x11, 0, 0, 0, 1), 0x81],
    ['an unknown property', 5, publish(0x30, a, 2, 0x7f, 1), 0x81],
    ['a Will Delay Interval', 5, publish(0x30, a, 5, 0x18, 0, 0, 0, 1), 0x81],
    ['a payload format of 2', 5, publish(0x30, a, 2, 0x01, 2), 0x82],
    ['a response topic with wildcards [MQTT-3.3.2-14]', 5, publish(0x30, a, 4, 0x08, 0, 1, 0x23), 0x82],
    ['all flags and fields', 5, publish(0x3d, a, 255, 255, 0, 0x61), undefined],
    ['the longest topic', 4, publish(0x30, longest, 1, 2, 3), undefined]
  ]
  for (const [what, version, bytes, reasonCode] of cases) {
    const found = read(bytes, version)
    t.equal(found instanceof ProtocolFault ? found.reasonCode : undefined, reasonCode, what)
  }
  const long = read(publish(0x30, longest, 1, 2, 3), 4) as ReadPublish
  t.equal(long.message.topic.length, 65_535)
  t.same(long.message.payload, Buffer.from([1, 2, 3]))
  const byAlias = read(publish(0x30, text(''), 3, 0x23, 1, 2), 5) as ReadPublish
  t.match(byAlias, { alias: 258, message: { topic: '' } })
  t.end()
})

t.test('user properties keep their order, including repeated names [MQTT-3.3.2-18]', t => {
  const user = (name: string, value: string): Buffer => Buffer.concat([Buffer.from([0x26]), text(name), text(value)])
  const order = Buffer.concat([
    user('b', '1'),
    user('a', '2'),
    user('b', '3'),
    user('', ''),
    user('__proto__', '4'),
    user('a', '2')
  ])
  const bytes = packet(
    0x30,
    Buffer.concat([text('t'), Buffer.from([order.length + 5, 0x02, 0, 0, 0, 9]), order, Buffer.from('payload')])
  )
  const { message } = read(bytes, 5) as ReadPublish
  t.same(message.encodedProperties, order)
  const out = written(
    { message, qos: 0, retain: false, dup: false, packetId: 0, identifiers: encodeIdentifiers([1]) },
    5
  )
  t.equal(out.indexOf(order), 2 + 3 + 1 + 5)
  t.end()
})

for (const [name, header] of [
  ['puback', 0x40],
  ['pubrec', 0x50],
  ['pubrel', 0x62],
  ['pubcomp', 0x70]
] as const) {
  t.test(`${name.toUpperCase()} with and without a reason`, t => {
    const type = PACKET_TYPE_NAMES.indexOf(name)
    t.same(acknowledgement(type, 0x1234, 4), Buffer.from([header, 2, 0x12, 0x34]))
    t.same(acknowledgement(type, 65_535, 5), Buffer.from([header, 2, 0xff, 0xff]), 'success needs no reason code')
    t.same(acknowledgement(type, 1, 4, 0x92, 'unknown to version 4'), Buffer.from([header, 2, 0, 1]))
    t.same(acknowledgement(type, 1, 5, 0x92), Buffer.from([header, 3, 0, 1, 0x92]))
    const code = name === 'puback' || name === 'pubrec' ? 0x87 : 0x92
    for (const reason of [
      'no',
      'not allowed: ö 😀',
      'x'.repeat(123),
      'x'.repeat(124),
      'x'.repeat(127),
      'x'.repeat(200),
      'x'.repeat(20_000),
      'x'.repeat(65_535)
    ]) {
      const bytes = acknowledgement(type, 258, 5, code, reason)
      t.match(
        parse(bytes, 5),
        { cmd: name, messageId: 258, reasonCode: code, properties: { reasonString: reason } },
        `${reason.length} characters`
      )
    }
    for (const reason of ['x'.repeat(65_536), 'ö'.repeat(70_000)]) {
      t.match(
        parse(acknowledgement(type, 258, 5, code, reason), 5),
        { cmd: name, messageId: 258, reasonCode: code },
        'a reason that is too long is omitted'
      )
    }
    t.end()
  })
}

t.test('variable byte integers and subscription identifiers', t => {
  const into = Buffer.alloc(8)
  for (const [value, hex] of [
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [16_383, 'ff7f'],
    [16_384, '808001'],
    [2_097_151, 'ffff7f'],
    [2_097_152, '80808001'],
    [268_435_455, 'ffffff7f']
  ] as const) {
    t.equal(into.subarray(2, writeVarint(into, 2, value)).toString('hex'), hex)
    t.equal(varintBytes(value), hex.length / 2)
  }
  t.same(encodeIdentifiers([]), Buffer.alloc(0))
  t.same(encodeIdentifiers([5, 300, 5]), Buffer.from([0x0b, 5, 0x0b, 0xac, 0x02]))
  t.end()
})

t.test('willPropertiesIn returns the properties of the will in order, without its delay', t => {
  const body = (connect: IConnectPacket): Buffer => {
    const bytes = mqttPacket.generate(connect)
    return bytes.subarray(bytes.findIndex((byte, at) => at > 0 && byte < 0x80) + 1)
  }
  const random = new Random(9)
  for (let i = 0; i < 200; i++) {
    const willProperties = randomProperties(random)
    const delayed = {
      ...willProperties,
      ...(chance(random) && { willDelayInterval: 5 }),
      ...(chance(random) && { messageExpiryInterval: 7 })
    }
    const will = { topic: 't', payload: Buffer.from('gone'), qos: 1, retain: false, properties: delayed } as const
    const connect = {
      ...CONNECT,
      clientId: words(random, random.integer(30)),
      username: 'u',
      password: Buffer.from('p'),
      properties: { sessionExpiryInterval: 3, userProperties: { no: words(random, random.integer(300)) } }
    }
    const found = willPropertiesIn(body({ ...connect, will }))
    if (!found.equals(encodeProperties(willProperties))) t.same(found, encodeProperties(willProperties), `will ${i}`)
  }
  const none = Buffer.alloc(0)
  t.same(willPropertiesIn(body({ ...CONNECT, properties: { userProperties: { no: 'will' } } })), none)
  t.same(
    willPropertiesIn(body({ ...CONNECT, will: { topic: 't', payload: Buffer.from('x'), qos: 0, retain: false } })),
    none
  )
  t.same(
    willPropertiesIn(
      body({ ...CONNECT, protocolVersion: 4, will: { topic: 't', payload: Buffer.from('x'), qos: 0, retain: false } })
    ),
    none
  )
  const user = (name: string): Buffer => Buffer.concat([Buffer.from([0x26]), text(name), text('v')])
  const own = Buffer.concat([user('b'), Buffer.from([0x18, 0, 0, 0, 1]), user('a'), Buffer.from([0x01, 1]), user('b')])
  const crafted = Buffer.concat([
    text('MQTT'),
    Buffer.from([5, 0x06, 0, 60]),
    Buffer.from([5, 0x11, 0, 0, 0, 1]),
    text('client'),
    Buffer.from([own.length]),
    own,
    text('t'),
    text('x')
  ])
  t.same(willPropertiesIn(crafted), Buffer.concat([user('b'), user('a'), Buffer.from([0x01, 1]), user('b')]))
  for (let end = 0; end < crafted.length; end++) willPropertiesIn(crafted.subarray(0, end))
  t.pass('truncated packets do not throw')
  t.end()
})
