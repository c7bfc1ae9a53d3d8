// Fragments: the frame that completes a datagram becomes the TCP frame.
import t from 'tap'
import { TcpDecoder } from '../../src/decode/tcp-decoder.js'
import type { CapturedFrame } from '../../src/types.js'
import { PORTS, captured, ethernetBytes, frameOf, ipv4Bytes, ipv6, ipv6Bytes, tcpBytes } from './craft.js'

const payload = Buffer.from(Array.from({ length: 200 }, (_, i) => i))
const segment = tcpBytes({ payload, sequence: 77 })

function fragment(
  from: number,
  to: number,
  { id = 1, time = 0, bytes = segment, source = '10.0.0.2' } = {}
): CapturedFrame {
  const word = (to < bytes.length ? 0x2000 : 0) | (from / 8)
  return captured(ethernetBytes(ipv4Bytes(bytes.subarray(from, to), { id, fragmentWord: word, source })), { time })
}

const pieces = [fragment(0, 80), fragment(80, 160), fragment(160, segment.length)] as const

t.test('decodes unfragmented datagrams directly', async t => {
  t.match(new TcpDecoder(PORTS).decode(frameOf({ payload }), 4), { number: 4, payloadLength: 200 })
})

t.test('returns the last fragment to arrive as the TCP frame, in any order', async t => {
  for (const order of [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0]
  ]) {
    const decoder = new TcpDecoder(PORTS)
    const results = order.map((index, i) => decoder.decode(pieces[index], i + 1))
    t.same(results.slice(0, 2), [null, null])
    const last = pieces[order[2]]
    t.match(results[2], {
      number: 3,
      wireLength: last.wireLength,
      payloadLength: 200,
      tcp: { sequence: 77 },
      ip: { moreFragments: order[2] === 2 ? 0 : 1 }
    })
    t.same(Buffer.from(results[2]?.payload ?? []), payload)
    t.same(decoder.counters, { fragments: 3, reassembled: 1, fragmentsDropped: 0 })
  }
})

t.test('completes once with repeated and overlapping fragments', async t => {
  const decoder = new TcpDecoder(PORTS)
  const frames = [pieces[0], pieces[0], fragment(40, 120), pieces[1], pieces[2]]
  t.same(
    frames.map((frame, i) => decoder.decode(frame, i)?.payloadLength ?? null),
    [null, null, null, null, 200]
  )
})

t.test('distinguishes datagrams by addresses and identification', async t => {
  const decoder = new TcpDecoder(PORTS)
  t.equal(decoder.decode(pieces[0], 1), null)
  t.equal(decoder.decode(fragment(80, segment.length, { id: 2 }), 2), null)
  t.equal(decoder.decode(fragment(80, segment.length, { source: '10.0.0.3' }), 3), null)
  t.match(decoder.decode(fragment(80, segment.length), 4), { number: 4, payloadLength: 200 })
})

t.test('IPv6', async t => {
  const decoder = new TcpDecoder(PORTS)
  const part = (from: number, to: number): CapturedFrame => {
    const header = Buffer.alloc(8)
    header[0] = 6
    header.writeUInt16BE(from | (to < segment.length ? 1 : 0), 2)
    header.writeUInt32BE(0xabcdef01, 4)
    return captured(
      ethernetBytes(ipv6Bytes(segment.subarray(from, to), { next: 44, extensions: header, source: ipv6(9) }), {
        ethertype: 0x86dd
      })
    )
  }
  t.equal(decoder.decode(part(80, segment.length), 1), null)
  t.match(decoder.decode(part(0, 80), 2), { payloadLength: 200, ip: { source: '2001:db8::9', length: 128 } })
})

t.test('ends the captured bytes at a fragment cut by the snap length', async t => {
  const decoder = new TcpDecoder(PORTS)
  const [first, second, third] = pieces
  decoder.decode({ ...first, bytes: first.bytes.subarray(0, 34 + 60) }, 1)
  decoder.decode(second, 2)
  const frame = decoder.decode(third, 3)
  t.equal(frame?.payloadLength, 200)
  t.same(Buffer.from(frame?.payload ?? []), payload.subarray(0, 40))
})

t.test('limits incomplete datagrams in number, fragments, length and age', async t => {
  const limited = new TcpDecoder(PORTS, { datagrams: 2 })
  for (const id of [1, 2, 3]) limited.decode(fragment(0, 80, { id }), id)
  t.equal(limited.counters.fragmentsDropped, 1)
  t.equal(limited.decode(fragment(80, segment.length, { id: 1 }), 4), null, 'the oldest was dropped')

  const shredded = new TcpDecoder(PORTS, { pieces: 3 })
  for (let i = 0; i < 5; i++) shredded.decode(fragment(i * 8, i * 8 + 8), i)
  t.equal(shredded.counters.fragmentsDropped, 1)

  const old = new TcpDecoder(PORTS)
  old.decode(fragment(0, 80, { time: 100 }), 1)
  t.equal(old.decode(fragment(80, segment.length, { time: 161 }), 2), null)
  t.equal(old.counters.fragmentsDropped, 1)

  const long = new TcpDecoder(PORTS)
  const far = captured(ethernetBytes(ipv4Bytes(Buffer.alloc(400), { fragmentWord: 0x1fff })))
  t.equal(long.decode(far, 1), null)
  t.equal(long.counters.fragmentsDropped, 1, 'a datagram has at most 65,535 bytes')
})

t.test('drops a datagram with contradictory ends and starts again with the next fragment', async t => {
  const raw = (from: number, length: number, more: boolean): CapturedFrame =>
    captured(
      ethernetBytes(
        ipv4Bytes(segment.subarray(from, from + length), { fragmentWord: (more ? 0x2000 : 0) | (from / 8) })
      )
    )
  const orders = [
    [raw(16, 8, true), raw(24, 8, true), raw(8, 8, false)],
    [raw(0, 8, true), raw(80, 80, false), raw(160, 8, true)],
    [raw(80, 80, false), raw(80, 40, false)]
  ]
  for (const order of orders) {
    const decoder = new TcpDecoder(PORTS)
    for (const frame of order) t.equal(decoder.decode(frame, 1), null)
    t.match(decoder.counters, { reassembled: 0, fragmentsDropped: 1 })
    t.match(
      pieces.map(frame => decoder.decode(frame, 1)?.payloadLength),
      [undefined, undefined, 200]
    )
  }
})

t.test('limits the buffered bytes of all fragments', async t => {
  const decoder = new TcpDecoder(PORTS, { heldBytes: 200 })
  decoder.decode(fragment(0, 80, { id: 1 }), 1)
  decoder.decode(fragment(0, 80, { id: 2 }), 2)
  t.equal(decoder.heldBytes, 160)
  decoder.decode(fragment(0, 80, { id: 3 }), 3)
  t.equal(decoder.heldBytes, 160, 'the oldest was dropped')
  t.equal(decoder.counters.fragmentsDropped, 1)
  decoder.decode(fragment(80, segment.length, { id: 3 }), 4)
  t.equal(decoder.heldBytes, 80, 'reassembled bytes are released')
})
