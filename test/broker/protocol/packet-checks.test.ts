// Checks of incoming packets: refuses what MQTT forbids, clause by clause, and accepts what it allows.

import t from 'tap'
import { readPublish } from '../../../broker/core/wire.js'
import {
  MALFORMED_PACKET,
  ProtocolFault,
  PROTOCOL_ERROR,
  UNSUPPORTED_VERSION,
  IDENTIFIER_NOT_VALID
} from '../../../broker/protocol/fault.js'
import { checkPacket } from '../../../broker/protocol/packet-checks.js'
import { text } from '../../decode/craft-mqtt.js'

type Part = number | string | Uint8Array

/** Encodes fields: numbers as bytes, strings with their length prefix. */
function bytes(...parts: Part[]): Buffer {
  return Buffer.concat(
    parts.map(part => (typeof part === 'number' ? Buffer.from([part]) : typeof part === 'string' ? text(part) : part))
  )
}

/** Encodes properties: fields with the length of all in front. */
function properties(...parts: Part[]): Buffer {
  const all = bytes(...parts)
  return bytes(all.length, all)
}

interface Flags {
  qos?: number
  dup?: boolean
}

/** Returns the reason code for which a packet is refused; undefined if it is accepted. */
function refusal(
  version: number | undefined,
  cmd: string,
  body: Buffer,
  { qos = 0, dup = false }: Flags = {}
): number | undefined {
  if (cmd !== 'publish') return checkPacket({ cmd, body }, { protocolVersion: version })?.reasonCode
  const read = readPublish(body, 0x30 | (qos << 1) | (dup ? 8 : 0), 0, body.length, version ?? 4)
  return read instanceof ProtocolFault ? read.reasonCode : undefined
}

const NONE = properties()
const ID = bytes(0, 7)
const EURO = Buffer.from([0xe2, 0x82, 0xac])
const SURROGATE = Buffer.from([0xed, 0xa0, 0x80])

function named(...parts: Uint8Array[]): Buffer {
  const all = Buffer.concat(parts)
  return bytes(0, all.length, all)
}

const TEXTS: readonly [string, Buffer, boolean][] = [
  ['letters', text('lamp'), true],
  ['beyond ASCII', named(EURO), true],
  ['a zero width no-break space', text('\ufeff'), true],
  ['U+0000 [MQTT-1.5.4-2]', text('la\u0000mp'), false],
  ['a line feed', text('lamp\n'), false],
  ['a control character beyond ASCII', text('\u0085'), false],
  ['a surrogate [MQTT-1.5.4-1]', named(SURROGATE), false],
  ['half a character', named(EURO.subarray(0, 2)), false],
  ['a slash in two bytes', named(Buffer.from([0xc0, 0xaf])), false],
  ['a noncharacter', text('\uffff'), false],
  ['a length beyond the packet', bytes(0, 9, Buffer.from('lamp')), false]
]

t.test('strings', async t => {
  for (const [what, name, isAllowed] of TEXTS) {
    const expected = isAllowed ? undefined : MALFORMED_PACKET
    t.equal(refusal(4, 'publish', name), expected, `topic: ${what}`)
    t.equal(refusal(4, 'subscribe', bytes(ID, name, 0)), expected, `filter: ${what}`)
    t.equal(refusal(4, 'unsubscribe', bytes(ID, name)), expected, `filter to unsubscribe: ${what}`)
    t.equal(refusal(undefined, 'connect', bytes('MQTT', 4, 2, 0, 9, name)), expected, `client id: ${what}`)
    t.equal(refusal(undefined, 'connect', bytes('MQTT', 4, 0x82, 0, 9, 'id', name)), expected, `user name: ${what}`)
    t.equal(
      refusal(undefined, 'connect', bytes('MQTT', 4, 6, 0, 9, 'id', name, 'gone')),
      expected,
      `will topic: ${what}`
    )
    t.equal(refusal(5, 'publish', bytes('lamp', properties(0x26, 'key', name))), expected, `user property: ${what}`)
  }
  t.equal(
    refusal(
      undefined,
      'connect',
      bytes('MQTT', 4, 0xc6, 0, 9, 'id', 'will', named(SURROGATE), 'user', named(SURROGATE))
    ),
    undefined,
    'will payload and password are binary'
  )
})

t.test('CONNECT', async t => {
  for (const level of [3, 4, 0x83, 0x84])
    t.equal(refusal(undefined, 'connect', bytes('MQTT', level, 2, 0, 9, 'id')), undefined, `level ${level}`)
  t.equal(refusal(undefined, 'connect', bytes('MQTT', 5, 2, 0, 9, NONE, 'id')), undefined)
  t.equal(refusal(undefined, 'connect', bytes('MQTT', 4, 2, 0, 9, '')), undefined, 'empty client id')
  t.equal(
    refusal(undefined, 'connect', bytes('MQIsdp', 3, 2, 0, 9, '')),
    IDENTIFIER_NOT_VALID,
    'empty client id in MQTT 3.1'
  )
  for (const level of [0, 2, 6, 0x7f]) {
    t.equal(
      refusal(undefined, 'connect', bytes('MQTT', level, 2, 0, 9, 'id')),
      UNSUPPORTED_VERSION,
      `level ${level} [MQTT-3.1.2-2]`
    )
  }
  t.equal(
    refusal(undefined, 'connect', bytes('MQTT', 4, 0x1e, 0, 9, 'id', 'will', 'gone')),
    MALFORMED_PACKET,
    'a will of QoS 3 [MQTT-3.1.2-12]'
  )
  t.equal(
    refusal(undefined, 'connect', bytes('MQTT', 4, 6, 0, 9, 'id', 'a/+', 'gone')),
    MALFORMED_PACKET,
    'a will with wildcards'
  )
  t.equal(
    refusal(undefined, 'connect', bytes('MQTT', 4, 6, 0, 9, 'id', '', 'gone')),
    PROTOCOL_ERROR,
    'a will without a topic'
  )
  t.equal(
    refusal(undefined, 'connect', bytes('MQTT', 4, 0x42, 0, 9, 'id', 'secret')),
    MALFORMED_PACKET,
    'a password without a user name [MQTT-3.1.2-22]'
  )
  t.equal(
    refusal(undefined, 'connect', bytes('MQTT', 5, 0x42, 0, 9, NONE, 'id', 'secret')),
    undefined,
    'a password without a user name in MQTT 5'
  )
  t.equal(
    refusal(undefined, 'connect', bytes('MQTT', 4, 2, 0, 9, 'id', 'more')),
    MALFORMED_PACKET,
    'a field without its flag'
  )
  t.equal(
    refusal(undefined, 'connect', bytes('MQTT', 4, 0x82, 0, 9, 'id')),
    MALFORMED_PACKET,
    'a flag without its field'
  )
  t.equal(refusal(4, 'connect', bytes('MQTT', 4, 2, 0, 9, 'id')), PROTOCOL_ERROR, 'a second CONNECT [MQTT-3.1.0-2]')
  t.equal(refusal(undefined, 'pingreq', bytes()), PROTOCOL_ERROR, 'a packet before the CONNECT [MQTT-3.1.0-1]')
})

t.test('PUBLISH', async t => {
  t.equal(refusal(4, 'publish', bytes('a/b', 1, 2, 3)), undefined)
  t.equal(refusal(4, 'publish', bytes('a/b', ID, 1, 2, 3), { qos: 2, dup: true }), undefined)
  t.equal(refusal(4, 'publish', bytes('a/b'), { dup: true }), MALFORMED_PACKET, 'DUP with QoS 0 [MQTT-3.3.1-2]')
  t.equal(refusal(4, 'publish', bytes('a/b', 0, 0), { qos: 1 }), PROTOCOL_ERROR, 'packet identifier 0 [MQTT-2.2.1-3]')
  t.equal(refusal(4, 'publish', bytes('a/b', 1), { qos: 1 }), MALFORMED_PACKET, 'half a packet identifier')
  for (const topic of ['+', 'a/#', 'a+b'])
    t.equal(refusal(4, 'publish', bytes(topic)), MALFORMED_PACKET, `topic "${topic}" [MQTT-3.3.2-2]`)
  t.equal(refusal(5, 'publish', bytes('', NONE)), PROTOCOL_ERROR, 'no topic and no alias (3.3.2.1)')
  t.equal(refusal(5, 'publish', bytes('', properties(0x23, 0, 1))), undefined, 'an alias for the topic')
  t.equal(
    refusal(5, 'publish', bytes('a', properties(0x08, 'b/+'))),
    PROTOCOL_ERROR,
    'a response topic with wildcards [MQTT-3.3.2-14]'
  )
  t.equal(
    refusal(5, 'publish', bytes('a', properties(0x08), 'payload')),
    MALFORMED_PACKET,
    'a truncated response topic, which crashed Aedes'
  )
  t.equal(
    refusal(5, 'publish', bytes('a', properties(0x0b, 1))),
    PROTOCOL_ERROR,
    'a subscription identifier [MQTT-3.3.4-6]'
  )
})

t.test('acknowledgements', async t => {
  for (const cmd of ['puback', 'pubrec', 'pubrel', 'pubcomp']) {
    t.equal(refusal(4, cmd, ID), undefined, cmd)
    t.equal(refusal(4, cmd, bytes()), MALFORMED_PACKET, `${cmd} without a packet identifier`)
    t.equal(refusal(4, cmd, bytes(0, 0)), PROTOCOL_ERROR, `${cmd} with packet identifier 0`)
    t.equal(refusal(4, cmd, bytes(ID, 0)), MALFORMED_PACKET, `${cmd} of MQTT 5 in MQTT 3.1.1`)
    t.equal(refusal(5, cmd, ID), undefined, `${cmd} without a reason code`)
    t.equal(refusal(5, cmd, bytes(ID, 0)), undefined, `${cmd} without properties`)
    t.equal(
      refusal(5, cmd, bytes(ID, 0, properties(0x1f, 'why', 0x26, 'k', 'v', 0x26, 'k', 'v'))),
      undefined,
      `${cmd} with properties`
    )
    t.equal(refusal(5, cmd, bytes(ID, 1)), PROTOCOL_ERROR, `${cmd} with the reason code of another packet`)
    t.equal(refusal(5, cmd, bytes(ID, 0, NONE, 0)), MALFORMED_PACKET, `${cmd} with extra bytes`)
  }
  t.equal(refusal(5, 'pubrec', bytes(ID, 0x97)), undefined)
  t.equal(refusal(5, 'pubrel', bytes(ID, 0x97)), PROTOCOL_ERROR)
  t.equal(refusal(5, 'pubrel', bytes(ID, 0x92)), undefined)
})

t.test('SUBSCRIBE and UNSUBSCRIBE', async t => {
  const both = (version: number, filter: string): (number | undefined)[] => [
    refusal(version, 'subscribe', bytes(ID, version === 5 ? NONE : bytes(), 'first', 0, filter, 1)),
    refusal(version, 'unsubscribe', bytes(ID, version === 5 ? NONE : bytes(), 'first', filter))
  ]
  for (const filter of ['a', '#', '+', '/', 'a/#', '+/+/#', 'a/+/b', '/+', '$SYS/#', '$share/group/a/#', '$shared']) {
    for (const version of [4, 5]) t.same(both(version, filter), [undefined, undefined], `version ${version}: ${filter}`)
  }
  for (const filter of ['', 'a#', '#/a', 'a/#/b', '##', 'a+', '+a', 'a/b+/c', '++']) {
    for (const version of [4, 5])
      t.same(
        both(version, filter),
        [MALFORMED_PACKET, MALFORMED_PACKET],
        `version ${version}: ${filter} [MQTT-4.7.1-1]`
      )
  }
  for (const filter of ['$share/', '$share/group', '$share/group/', '$share//a', '$share/a+/b']) {
    t.ok(
      both(5, filter).every(code => code !== undefined),
      `${filter} [MQTT-4.8.2-1]`
    )
  }
  t.equal(
    refusal(5, 'subscribe', bytes(ID, NONE, '$share/group/a', 4)),
    PROTOCOL_ERROR,
    'shared, with No Local [MQTT-3.8.3-4]'
  )
  t.equal(refusal(5, 'subscribe', bytes(ID, NONE, 'a', 4)), undefined, 'not shared, with No Local')
  for (const options of [3, 0x30, 0x2f])
    t.equal(refusal(5, 'subscribe', bytes(ID, NONE, 'a', options)), PROTOCOL_ERROR, `options ${options} (3.8.3.1)`)
  for (const options of [0, 1, 2, 0x0e, 0x2e])
    t.equal(refusal(5, 'subscribe', bytes(ID, NONE, 'a', options)), undefined, `options ${options}`)
  for (const cmd of ['subscribe', 'unsubscribe']) {
    for (const version of [4, 5])
      t.equal(
        refusal(version, cmd, bytes(ID, version === 5 ? NONE : bytes())),
        PROTOCOL_ERROR,
        `${cmd} without a filter [MQTT-3.8.3-2]`
      )
    t.equal(refusal(5, cmd, ID), MALFORMED_PACKET, `${cmd} without a property length`)
    t.equal(refusal(4, cmd, bytes(0, 0, 'a', 0)), PROTOCOL_ERROR, `${cmd} with packet identifier 0`)
    t.equal(refusal(4, cmd, bytes(7)), MALFORMED_PACKET, `${cmd} with half a packet identifier`)
  }
  t.equal(refusal(4, 'subscribe', bytes(ID, 'a')), MALFORMED_PACKET, 'a filter without options')
  t.equal(refusal(5, 'subscribe', bytes(ID, properties(0x0b, 0), 'a', 0)), PROTOCOL_ERROR, 'subscription identifier 0')
})

t.test('properties', async t => {
  const publish = (all: Buffer): number | undefined => refusal(5, 'publish', bytes('a', all, 'payload'))
  t.equal(
    publish(properties(0x01, 1, 0x02, 0, 0, 0, 9, 0x03, 'text', 0x08, 'b', 0x09, 'data', 0x26, 'k', 'v')),
    undefined
  )
  t.equal(publish(properties(0x11, 0, 0, 0, 9)), MALFORMED_PACKET, 'a property of another packet')
  t.equal(publish(properties(0x04, 1)), MALFORMED_PACKET, 'an unknown property')
  t.equal(publish(properties(0x02, 0, 0, 0, 9, 0x02, 0, 0, 0, 9)), PROTOCOL_ERROR, 'a duplicate property')
  t.equal(publish(properties(0x01, 2)), PROTOCOL_ERROR, 'neither 0 nor 1')
  t.equal(publish(properties(0x01)), MALFORMED_PACKET, 'a truncated property')
  t.equal(
    publish(properties(0x81, 0x00, 1)),
    MALFORMED_PACKET,
    'an identifier in more bytes than it needs [MQTT-1.5.5-1]'
  )
  t.equal(publish(bytes(0x80, 0x80, 0x80, 0x80, 1)), MALFORMED_PACKET, 'a length of five bytes')
  t.equal(publish(bytes(0xff, 0xff, 0xff, 0x7f)), MALFORMED_PACKET, 'a length beyond the packet')
  const connect = (...parts: Part[]): number | undefined =>
    refusal(undefined, 'connect', bytes('MQTT', 5, 2, 0, 9, properties(...parts), 'id'))
  t.equal(connect(0x11, 0, 0, 0, 9, 0x17, 1, 0x19, 0, 0x21, 0, 9, 0x22, 0, 0, 0x27, 0, 0, 1, 0), undefined)
  t.equal(connect(0x21, 0, 0), PROTOCOL_ERROR, 'receive maximum 0')
  t.equal(connect(0x27, 0, 0, 0, 0), PROTOCOL_ERROR, 'maximum packet size 0')
  t.equal(connect(0x18, 0, 0, 0, 9), MALFORMED_PACKET, 'a Will Delay Interval in CONNECT instead of the will')
  t.equal(
    refusal(
      undefined,
      'connect',
      bytes('MQTT', 5, 6, 0, 9, NONE, 'id', properties(0x18, 0, 0, 0, 9, 0x01, 1), 'will', 'gone')
    ),
    undefined
  )
})

t.test('other packets', async t => {
  for (const version of [4, 5]) {
    for (const cmd of ['connack', 'suback', 'unsuback', 'pingresp', 'auth', 'reserved']) {
      t.equal(refusal(version, cmd, bytes(0, 0)), PROTOCOL_ERROR, `${cmd} is not sent by clients`)
    }
    for (const cmd of ['pingreq', 'disconnect']) t.equal(refusal(version, cmd, bytes()), undefined, cmd)
    t.equal(refusal(version, 'pingreq', bytes(0)), MALFORMED_PACKET, 'a PINGREQ with a body')
  }
  t.equal(refusal(4, 'disconnect', bytes(0)), MALFORMED_PACKET, 'a DISCONNECT of MQTT 5 in MQTT 3.1.1')
  for (const body of [bytes(0), bytes(4, NONE), bytes(0, properties(0x11, 0, 0, 0, 0, 0x1f, 'why'))])
    t.equal(refusal(5, 'disconnect', body), undefined)
  t.equal(refusal(5, 'disconnect', bytes(0, properties(0x11, 0, 0))), MALFORMED_PACKET)
})

t.test('a DISCONNECT may set a session expiry only if the CONNECT did', async t => {
  const refusalAfter = (sessionExpiryInterval: number | undefined, seconds: number): number | undefined => {
    const body = bytes(0, properties(0x11, 0, 0, 0, seconds))
    return checkPacket({ cmd: 'disconnect', body }, { protocolVersion: 5, properties: { sessionExpiryInterval } })
      ?.reasonCode
  }
  t.equal(refusalAfter(undefined, 9), PROTOCOL_ERROR, 'none in CONNECT')
  t.equal(refusalAfter(0, 9), PROTOCOL_ERROR, '0 in CONNECT')
  t.equal(refusalAfter(0, 0), undefined)
  for (const seconds of [0, 9, 90]) t.equal(refusalAfter(60, seconds), undefined, `${seconds} s after 60 s`)
})
