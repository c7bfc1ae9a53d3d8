// Link, IP and TCP headers: offsets, fields, and robustness against arbitrary bytes.
import t from 'tap'
import { ipv6Text } from '../../src/decode/addresses.js'
import type { TcpFrame } from '../../src/types.js'
import {
  ACK,
  BROKER,
  CLIENT,
  PORTS,
  PSH,
  captured,
  decodeTcp,
  ethernetBytes,
  frameOf,
  ipv4Bytes,
  ipv6,
  ipv6Bytes,
  tcpBytes
} from './craft.js'

const payload = Buffer.from('hello')
const segment = tcpBytes({ payload, sequence: 0xfffffff0, acknowledgement: 7, flags: 0xfff, window: 0xabcd })
const datagram = ipv4Bytes(segment)

function decode(bytes: Buffer, linkType: number, wireLength = bytes.length): TcpFrame | null {
  return decodeTcp(captured(bytes, { linkType, wireLength }), 3, PORTS)
}

t.test('finds the same segment in every link type', async t => {
  const sll = Buffer.concat([Buffer.alloc(14), Buffer.from([8, 0]), datagram])
  const sll2 = Buffer.concat([Buffer.from([8, 0]), Buffer.alloc(18), datagram])
  const cases: [string, number, Buffer][] = [
    ['Ethernet', 1, ethernetBytes(datagram)],
    ['802.1Q', 1, ethernetBytes(datagram, { tags: [0x8100] })],
    ['QinQ', 1, ethernetBytes(datagram, { tags: [0x88a8, 0x8100] })],
    ['SNAP', 1, Buffer.concat([Buffer.alloc(12), Buffer.from([0, 53, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]), datagram])],
    ['Linux cooked', 113, sll],
    ['Linux cooked v2', 276, sll2],
    ['null, little endian', 0, Buffer.concat([Buffer.from([2, 0, 0, 0]), datagram])],
    ['null, big endian', 0, Buffer.concat([Buffer.from([0, 0, 0, 2]), datagram])],
    ['loop', 108, Buffer.concat([Buffer.from([0, 0, 0, 2]), datagram])],
    ['raw', 101, datagram],
    ['raw, BSD', 12, datagram],
    ['raw, OpenBSD', 14, datagram],
    ['IPv4', 228, datagram]
  ]
  for (const [name, linkType, bytes] of cases) {
    t.match(
      decode(bytes, linkType),
      {
        number: 3,
        wireLength: bytes.length,
        ip: {
          source: CLIENT,
          destination: BROKER,
          length: 45,
          dontFragment: 1,
          moreFragments: 0,
          reservedBit: 0,
          ttl: 64
        },
        tcp: {
          sourcePort: 40_000,
          destinationPort: 1883,
          sequence: 0xfffffff0,
          acknowledgement: 7,
          flags: 0xfff,
          window: 0xabcd
        },
        payloadLength: 5
      },
      name
    )
    t.same(Buffer.from(decode(bytes, linkType)?.payload ?? []), payload, `${name}: payload without padding`)
  }
})

t.test('IPv6, with and without extension headers', async t => {
  const body = tcpBytes({ payload })
  const hopByHop = Buffer.from([60, 0, 1, 4, 0, 0, 0, 0])
  const destination = Buffer.concat([Buffer.from([43, 1]), Buffer.alloc(14)])
  const routing = Buffer.concat([Buffer.from([51, 0]), Buffer.alloc(6)])
  const authentication = Buffer.concat([Buffer.from([44, 4]), Buffer.alloc(22)])
  const atomicFragment = Buffer.from([6, 0, 0, 0, 0, 0, 0, 9])
  const extensions = Buffer.concat([hopByHop, destination, routing, authentication, atomicFragment])
  for (const bytes of [ipv6Bytes(body), ipv6Bytes(body, { next: 0, extensions })]) {
    const expected = {
      ip: {
        source: '2001:db8::1',
        destination: '2001:db8::2',
        length: bytes.length,
        dontFragment: null,
        moreFragments: null,
        reservedBit: null,
        ttl: 64
      },
      payloadLength: 5
    }
    t.match(decode(ethernetBytes(bytes, { ethertype: 0x86dd }), 1), expected)
    t.match(decode(Buffer.concat([Buffer.from([30, 0, 0, 0]), bytes]), 0), expected, 'null')
    t.match(decode(bytes, 229), expected, 'raw')
    t.match(decode(bytes, 101), expected, 'raw IP of either version')
  }
})

t.test('formats IPv6 addresses as in RFC 5952', async t => {
  const written = (groups: number[]): string => {
    const bytes = Buffer.alloc(16)
    groups.forEach((group, i) => bytes.writeUInt16BE(group, i * 2))
    return ipv6Text(bytes, 0)
  }
  t.equal(written([0x2001, 0xdb8, 0, 0, 1, 0, 0, 1]), '2001:db8::1:0:0:1', 'the first of equally long zero runs')
  t.equal(written([0x2001, 0, 0, 1, 0, 0, 0, 1]), '2001:0:0:1::1', 'the longest zero run')
  t.equal(written([0x2001, 0xdb8, 0, 1, 1, 1, 1, 1]), '2001:db8:0:1:1:1:1:1', 'a single zero is not shortened')
  t.equal(written([0, 0, 0, 0, 0, 0, 0, 0]), '::')
  t.equal(written([0, 0, 0, 0, 0, 0, 0, 1]), '::1')
  t.equal(written([1, 0, 0, 0, 0, 0, 0, 0]), '1::')
  t.equal(written([0xfe80, 0, 0, 0, 0xabcd, 0xef, 0, 0xa]), 'fe80::abcd:ef:0:a')
  t.equal(written([0, 0, 0, 0, 0, 0xffff, 0xc0a8, 0x0102]), '192.168.1.2', 'IPv4-mapped')
})

t.test('takes lengths from the IP header, not from the captured bytes', async t => {
  t.match(decode(ethernetBytes(ipv4Bytes(tcpBytes({}))), 1), { payloadLength: 0 }, 'padding is not payload')
  const long = ethernetBytes(ipv4Bytes(tcpBytes({ payload: Buffer.alloc(500, 1) })))
  const cut = decode(long.subarray(0, 100), 1, long.length)
  t.match(cut, { payloadLength: 500, wireLength: long.length })
  t.equal(cut?.payload.length, 100 - 54)
  t.equal(decode(long.subarray(0, 54), 1, long.length)?.payload.length, 0)
  const offloaded = decode(frameOf({ payload: Buffer.alloc(500, 1), ipLength: 0 }).bytes, 1)
  t.match(offloaded, { payloadLength: 500, ip: { length: 540 } }, 'length 0: segmentation offload')
  const bogus = decode(frameOf({ payload: Buffer.alloc(500, 1), ipLength: 9000 }).bytes, 1)
  t.match(bogus, { payloadLength: 500, ip: { length: 9000 } }, 'limited to the frame')
})

t.test('skips IP and TCP options', async t => {
  const body = tcpBytes({ payload, options: Buffer.alloc(12, 1), flags: ACK | PSH })
  const frame = decode(ethernetBytes(ipv4Bytes(body, { options: Buffer.alloc(8, 1) })), 1)
  t.match(frame, { payloadLength: 5, ip: { length: 65 } })
  t.equal(Buffer.from(frame?.payload ?? []).toString(), 'hello')
})

t.test('ignores frames that are not TCP on a watched port', async t => {
  const notTcp = ipv4Bytes(segment)
  notTcp[9] = 17
  t.equal(decode(ethernetBytes(notTcp), 1), null, 'UDP')
  t.equal(decode(ethernetBytes(ipv4Bytes(tcpBytes({ destinationPort: 80 }))), 1), null, 'another port')
  t.match(
    decode(ethernetBytes(ipv4Bytes(tcpBytes({ sourcePort: 1883, destinationPort: 80 }))), 1),
    { number: 3 },
    'the source port may be the watched one'
  )
  t.equal(decode(ethernetBytes(datagram, { ethertype: 0x0806 }), 1), null, 'ARP')
  t.equal(
    decode(ethernetBytes(datagram, { ethertype: 0x86dd }), 1),
    null,
    'an ethertype that does not match the header'
  )
  t.equal(decode(datagram, 147), null, 'an unknown link type')
  const short = ipv4Bytes(segment)
  short[32] = 0x40
  t.equal(decode(ethernetBytes(short), 1), null, 'a data offset below the minimum')
  short[32] = 0xf0
  t.equal(decode(ethernetBytes(short), 1), null, 'a data offset beyond the segment')
})

t.test('never throws on arbitrary bytes', async t => {
  const whole = [ethernetBytes(datagram, { tags: [0x8100] }), ethernetBytes(ipv6Bytes(segment), { ethertype: 0x86dd })]
  let seed = 7
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff
    return seed % below
  }
  for (const bytes of whole) {
    for (let length = 0; length <= bytes.length; length++) {
      for (const linkType of [0, 1, 12, 101, 108, 113, 228, 229, 276])
        decode(bytes.subarray(0, length), linkType, bytes.length)
    }
    for (let i = 0; i < 20_000; i++) {
      const broken = Buffer.from(bytes)
      for (let j = 0; j < 3; j++) broken[random(broken.length)] = random(256)
      const frame = decode(broken, 1, random(2) === 0 ? broken.length : random(200))
      if (frame !== null && (frame.payloadLength < 0 || frame.payload.length > frame.payloadLength)) {
        t.fail(`invalid lengths from ${broken.toString('hex')}`)
      }
    }
  }
  t.equal(Buffer.from(ipv6(1)).length, 16)
})
