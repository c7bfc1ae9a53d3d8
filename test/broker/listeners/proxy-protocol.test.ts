// PROXY headers, versions 1 and 2: all forms, truncated at every byte, and invalid bytes.

import t from 'tap'
import { Random } from '../../../models/random.js'
import { MAX_PROXY_HEADER_BYTES, parseProxyHeader } from '../../../broker/listeners/proxy-protocol.js'

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

function binary(command: number, family: number, body: Buffer, declared = body.length): Buffer {
  const fixed = Buffer.from([0x20 | command, family, declared >> 8, declared & 0xff])
  return Buffer.concat([SIGNATURE, fixed, body])
}

const IPV4 = Buffer.from([192, 0, 2, 7, 10, 0, 0, 1, 0x9c, 0x40, 0x07, 0x5b])
const IPV6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000007', 'hex'),
  Buffer.alloc(16),
  Buffer.from([0x9c, 0x40, 0x07, 0x5b])
])
const MAPPED = Buffer.concat([
  Buffer.from('00000000000000000000ffffc0000207', 'hex'),
  Buffer.alloc(16),
  Buffer.from([0, 1, 0, 2])
])
const TLV = Buffer.from([0x04, 0, 3, 1, 2, 3])

const VALID: [string, Buffer, { address: string; port: number } | null][] = [
  [
    'version 1, IPv4',
    Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 40000 1883\r\n'),
    { address: '192.0.2.7', port: 40_000 }
  ],
  [
    'version 1, IPv6',
    Buffer.from('PROXY TCP6 2001:db8::7 ::1 40000 1883\r\n'),
    { address: '2001:db8::7', port: 40_000 }
  ],
  ['version 1, mapped', Buffer.from('PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n'), { address: '192.0.2.7', port: 1 }],
  ['version 1, unknown', Buffer.from('PROXY UNKNOWN\r\n'), null],
  ['version 1, unknown with addresses', Buffer.from('PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n'), null],
  ['version 2, IPv4', binary(1, 0x11, IPV4), { address: '192.0.2.7', port: 40_000 }],
  ['version 2, IPv4 with TLV', binary(1, 0x11, Buffer.concat([IPV4, TLV])), { address: '192.0.2.7', port: 40_000 }],
  ['version 2, IPv6', binary(1, 0x21, IPV6), { address: '2001:db8::7', port: 40_000 }],
  ['version 2, mapped', binary(1, 0x21, MAPPED), { address: '192.0.2.7', port: 1 }],
  ['version 2, local', binary(0, 0x11, IPV4), null],
  ['version 2, unspecified', binary(1, 0, Buffer.alloc(0)), null],
  [
    'version 2, longest allowed',
    binary(1, 0x11, Buffer.concat([IPV4, Buffer.alloc(MAX_PROXY_HEADER_BYTES - 28)])),
    { address: '192.0.2.7', port: 40_000 }
  ]
]

for (const [name, header, client] of VALID) {
  t.test(name, t => {
    for (let length = 0; length < header.length; length++) {
      const { state } = parseProxyHeader(header.subarray(0, length))
      if (state !== 'incomplete') t.fail(`${state} after ${length} bytes`)
    }
    for (const rest of [Buffer.alloc(0), Buffer.from([0x10, 0x0d]), Buffer.from('\r\n')]) {
      t.same(parseProxyHeader(Buffer.concat([header, rest])), { state: 'complete', length: header.length, client })
    }
    t.end()
  })
}

t.test('invalid headers are refused as early as possible', t => {
  const bad: [string, Buffer][] = [
    ['MQTT', Buffer.from([0x10])],
    ['TLS', Buffer.from([22, 3, 1])],
    ['unknown protocol', Buffer.from('PROXY UDP4 192.0.2.7 10.0.0.1 1 2\r\n')],
    ['an address of the other family', Buffer.from('PROXY TCP4 2001:db8::7 ::1 1 2\r\n')],
    ['a port too high', Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 65536 2\r\n')],
    ['a port with a leading zero', Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 01 2\r\n')],
    ['two spaces', Buffer.from('PROXY TCP4  192.0.2.7 10.0.0.1 1 2\r\n')],
    ['too few words', Buffer.from('PROXY TCP4 192.0.2.7\r\n')],
    ['no end', Buffer.concat([Buffer.from('PROXY '), Buffer.alloc(101, 0x20)])],
    ['an invalid signature', Buffer.from('0d0a0d0a000d0a5155', 'hex').fill(0x51, 6)],
    ['version 3', Buffer.concat([SIGNATURE, Buffer.from([0x31])])],
    ['an unknown command', binary(2, 0x11, IPV4)],
    ['too short for its addresses', binary(1, 0x11, IPV4.subarray(0, 11))],
    ['too short for IPv6', binary(1, 0x21, IPV4)],
    ['too long', binary(1, 0x11, IPV4, 65_535)]
  ]
  for (const [name, bytes] of bad) t.equal(parseProxyHeader(bytes).state, 'malformed', name)
  t.end()
})

t.test('any bytes give one of three states, and never stay incomplete', t => {
  const random = new Random(5)
  const seeds = VALID.map(([, header]) => header)
  for (let i = 0; i < 50_000; i++) {
    const bytes = Buffer.from(seeds[random.integer(seeds.length)])
    for (let edits = random.integer(4); edits >= 0; edits--) bytes[random.integer(bytes.length)] = random.integer(256)
    const result = parseProxyHeader(bytes)
    if (result.state === 'complete' && (result.length > bytes.length || result.length > MAX_PROXY_HEADER_BYTES))
      t.fail(bytes.toString('hex'))
    const longer = parseProxyHeader(Buffer.concat([bytes, Buffer.alloc(MAX_PROXY_HEADER_BYTES)]))
    if (longer.state === 'incomplete') t.fail(bytes.toString('hex'))
  }
  t.end()
})
