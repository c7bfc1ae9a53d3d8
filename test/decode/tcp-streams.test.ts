// Streams: stream and direction of a frame, its time, and the bytes that it makes contiguous.
import t from 'tap'
import { TcpStreams } from '../../src/decode/tcp-streams.js'
import type { TcpStreamLimits } from '../../src/decode/tcp-streams.js'
import type { StreamFrame, TcpFrame } from '../../src/types.js'
import { ACK, BROKER, CLIENT, FIN, PORTS, RST, SYN, captured, decodeTcp, frameOf, tcpFrame } from './craft.js'
import type { Segment } from './craft.js'

const none = new Uint8Array(0)

/** The client direction of a stream with initial sequence number `initial`. */
class Sender {
  readonly streams: TcpStreams
  #number = 0

  constructor(
    readonly initial = 100,
    limits: Partial<TcpStreamLimits> = {}
  ) {
    this.streams = new TcpStreams(PORTS, limits)
    this.push({ sequence: initial, flags: SYN })
  }

  push(segment: Segment): StreamFrame {
    return this.streams.push(tcpFrame(segment, ++this.#number, this.#number))
  }

  /** Sends text at `offset`. */
  send(offset: number, text: string): StreamFrame {
    return this.push({ sequence: this.initial + 1 + offset, payload: Buffer.from(text) })
  }

  /** Acknowledges all bytes before `offset` as the broker. */
  acknowledge(offset: number): StreamFrame {
    return this.push({
      source: BROKER,
      destination: CLIENT,
      sourcePort: 1883,
      destinationPort: 40_000,
      sequence: 900,
      acknowledgement: this.initial + 1 + offset
    })
  }
}

/** Returns the bytes that a frame made contiguous, gaps as dots. */
function contiguous({ chunks }: StreamFrame): string {
  return chunks
    .map(({ bytes, length }) => (bytes === null ? '.'.repeat(length) : Buffer.from(bytes).toString()))
    .join('')
}

/** Whether the chunks cover `from` to `to` without overlap. */
function consistent({ from, to, chunks }: StreamFrame): boolean {
  let at = from
  for (const chunk of chunks) {
    if (chunk.start !== at || (chunk.bytes !== null && chunk.bytes.length !== chunk.length)) return false
    at += chunk.length
  }
  return at === to
}

t.test('delivers segments in order', async t => {
  const sender = new Sender()
  t.match(sender.send(0, 'abc'), { direction: 'in', from: 0, to: 3 })
  const second = sender.send(3, 'de')
  t.match(second, {
    from: 3,
    to: 5,
    stream: {
      id: 0,
      client: { address: CLIENT, port: 40_000 },
      broker: { address: BROKER, port: 1883 },
      synced: { in: true, out: false }
    }
  })
  t.equal(contiguous(second), 'de')
  t.match(sender.acknowledge(5), { direction: 'out', from: 0, to: 0, chunks: [] })
})

t.test('delivers retransmitted and overlapping bytes only once', async t => {
  const sender = new Sender()
  sender.send(0, 'abcdef')
  t.match(sender.send(0, 'abcdef'), { from: 6, to: 6, chunks: [] })
  t.match(sender.send(2, 'cd'), { from: 6, to: 6, chunks: [] })
  t.match(sender.send(5, '\0'), { from: 6, to: 6, chunks: [] }, 'a keepalive of one byte')
  const overlapping = sender.send(4, 'efgh')
  t.match(overlapping, { from: 6, to: 8 })
  t.equal(contiguous(overlapping), 'gh')
})

t.test('buffers an early segment until the bytes before it arrive', async t => {
  const sender = new Sender()
  t.match(sender.send(3, 'def'), { from: 0, to: 0, chunks: [] })
  t.match(sender.send(7, 'h'), { from: 0, to: 0, chunks: [] })
  t.match(sender.send(3, 'def'), { from: 0, to: 0, chunks: [] }, 'retransmission of a buffered segment')
  const filling = sender.send(0, 'abcd')
  t.match(filling, { from: 0, to: 6 })
  t.equal(contiguous(filling), 'abcdef')
  const last = sender.send(6, 'g')
  t.equal(contiguous(last), 'gh')
  t.match(sender.streams.counters, { gapsLost: 0, gapsForced: 0 })
})

t.test('reassembles five overlapping segments in any order', async t => {
  const pieces: [number, string][] = [
    [0, 'abc'],
    [2, 'cde'],
    [5, 'fg'],
    [6, 'ghij'],
    [10, 'k']
  ]
  const orders = (rest: [number, string][]): [number, string][][] =>
    rest.length === 0
      ? [[]]
      : rest.flatMap((piece, i) => orders(rest.filter((_, j) => j !== i)).map(tail => [piece, ...tail]))
  for (const order of orders(pieces)) {
    const sender = new Sender(0xffff_fff8)
    const frames = order.map(([offset, text]) => sender.send(offset, text))
    if (frames.map(contiguous).join('') !== 'abcdefghijk' || !frames.every(consistent)) {
      t.fail(`order ${order.map(([offset]) => offset).join(' ')}: ${frames.map(contiguous).join('|')}`)
    }
  }
})

t.test('skips a gap that the peer acknowledged', async t => {
  const sender = new Sender()
  sender.send(0, 'ab')
  t.match(sender.send(5, 'fg'), { from: 2, to: 2 })
  sender.acknowledge(4)
  t.match(
    sender.send(7, 'h'),
    { from: 2, to: 2 },
    'acknowledged up to the middle of the gap: the rest may still arrive'
  )
  sender.acknowledge(5)
  const next = sender.send(8, 'i')
  t.match(next, { from: 2, to: 9 })
  t.equal(contiguous(next), '...fghi')
  t.ok(consistent(next))
  t.match(sender.streams.counters, { gapsLost: 1, gapBytes: 3 })
})

t.test('ignores an acknowledgement beyond the largest window', async t => {
  const sender = new Sender()
  sender.send(3, 'd')
  sender.acknowledge(0x5000_0000)
  t.match(sender.send(4, 'e'), { from: 0, to: 0 })
})

t.test('limits buffered segments', async t => {
  const bytes = new Sender(100, { heldBytes: 10 })
  t.equal(contiguous(bytes.send(2, '12345678')), '')
  const over = bytes.send(10, '9ab')
  t.equal(contiguous(over), '..123456789ab')
  t.match(bytes.streams.counters, { gapsForced: 1, gapsLost: 0, gapBytes: 2 })

  const segments = new Sender(100, { heldSegments: 2 })
  segments.send(2, 'x')
  segments.send(4, 'x')
  t.equal(contiguous(segments.send(6, 'x')), '..x', 'skips only as many gaps as needed')
})

t.test('continues offsets after sequence numbers wrap, and beyond 4 GiB', async t => {
  const wrapping = new Sender(0xffff_fffe)
  t.match(wrapping.send(0, 'ab'), { from: 0, to: 2 })
  t.match(wrapping.send(2, 'cd'), { from: 2, to: 4 })

  const long = new Sender(100)
  const step = 0x3000_0000
  let offset = 0
  for (let i = 0; i < 12; i++) {
    // Only one byte of each range is captured; the pointer follows the broker's acknowledgements.
    offset += step
    long.acknowledge(offset)
    const frame = long.send(offset, 'x')
    offset += 1
    t.equal(frame.to, offset)
  }
  t.ok(offset > 2 ** 33)
  t.match(long.send(offset, 'yz'), { from: offset, to: offset + 2 })
})

t.test('counts offsets from the first captured byte of a mid-stream capture', async t => {
  const streams = new TcpStreams(PORTS)
  streams.push(tcpFrame({ sequence: 5000, payload: none }))
  const first = streams.push(tcpFrame({ sequence: 5001, payload: Buffer.from('abc') }))
  t.match(first, { from: 0, to: 3, stream: { synced: { in: false, out: false } } })
  t.match(streams.push(tcpFrame({ sequence: 4990, payload: Buffer.from('old') })), { from: 3, to: 3 })
  t.match(streams.push(tcpFrame({ sequence: 5004, payload: Buffer.from('d') })), { from: 3, to: 4 })
})

t.test('infers a missed SYN from the SYN-ACK', async t => {
  const streams = new TcpStreams(PORTS)
  const back = { source: BROKER, destination: CLIENT, sourcePort: 1883, destinationPort: 40_000 }
  streams.push(tcpFrame({ ...back, sequence: 70, acknowledgement: 31, flags: SYN | ACK }))
  const early = streams.push(tcpFrame({ sequence: 34, payload: Buffer.from('d') }))
  t.match(early, { from: 0, to: 0, stream: { synced: { in: true, out: true } } })
  t.match(streams.push(tcpFrame({ sequence: 31, payload: Buffer.from('abc') })), { from: 0, to: 4 })
})

t.test('includes data on the SYN', async t => {
  const streams = new TcpStreams(PORTS)
  const opened = streams.push(tcpFrame({ sequence: 9, flags: SYN, payload: Buffer.from('ab') }))
  t.equal(contiguous(opened), 'ab')
  t.match(streams.push(tcpFrame({ sequence: 12, payload: Buffer.from('c') })), { from: 2, to: 3 })
})

t.test('excludes data on a RST', async t => {
  const sender = new Sender()
  t.match(sender.push({ sequence: 101, flags: RST | ACK, payload: Buffer.from('why') }), {
    from: 0,
    to: 0,
    chunks: [],
    frame: { payloadLength: 3 }
  })
})

t.test('tracks the end of each direction', async t => {
  const sender = new Sender()
  const frame = sender.push({ sequence: 101, flags: FIN | ACK, payload: Buffer.from('bye') })
  t.match(frame, { from: 0, to: 3, stream: { ended: { in: true, out: false } } })
  sender.push({ source: BROKER, destination: CLIENT, sourcePort: 1883, destinationPort: 40_000, flags: RST })
  t.match(frame.stream.ended, { in: true, out: true })
})

t.test('starts a new stream when a tuple is reused', async t => {
  const sender = new Sender(100)
  const old = sender.send(0, 'abc')
  t.equal(sender.push({ sequence: 100, flags: SYN }).stream, old.stream, 'the same SYN again is a retransmission')
  const reopened = sender.push({ sequence: 777, flags: SYN })
  t.not(reopened.stream, old.stream)
  t.match(reopened, { delta: 0, stream: { id: 1, ended: { in: false } } })
  t.match(sender.push({ sequence: 778, payload: Buffer.from('xy') }), { from: 0, to: 2 })
})

t.test('identifies the broker by the watched port, or by the handshake if both ports are watched', async t => {
  const ports = new Set([1883, 8883])
  const between = (sourcePort: number, destinationPort: number, flags: number): StreamFrame => {
    const frame = decodeTcp(frameOf({ sourcePort, destinationPort, flags }), 1, ports)
    return new TcpStreams(ports).push(frame as TcpFrame)
  }
  t.match(between(1883, 5000, ACK), { direction: 'out', stream: { broker: { address: CLIENT, port: 1883 } } })
  t.match(between(5000, 8883, ACK), { direction: 'in', stream: { broker: { address: BROKER, port: 8883 } } })
  t.match(between(1883, 8883, SYN), { direction: 'in', stream: { broker: { port: 8883 } } })
  t.match(between(8883, 1883, SYN), { direction: 'in', stream: { broker: { port: 1883 } } })
  t.match(between(8883, 1883, SYN | ACK), { direction: 'out', stream: { broker: { port: 8883 } } })
  t.match(between(8883, 1883, ACK), { direction: 'in', stream: { broker: { port: 1883 } } })
  t.match(between(1883, 8883, ACK), { direction: 'out', stream: { broker: { port: 1883 } } })
})

t.test('computes deltas per stream and their mean over all streams', async t => {
  const streams = new TcpStreams(PORTS)
  const at = (time: number, sourcePort: number): StreamFrame => streams.push(tcpFrame({ sourcePort }, 1, time))
  t.match(at(10, 1), { delta: 0, l20Average: 0 })
  t.match(at(10.5, 1), { delta: 0.5, l20Average: 0 })
  t.match(at(11, 2), { delta: 0, l20Average: 0.25 })
  t.match(at(10.9, 1), { delta: 0.4, l20Average: 0.166666666667 })
  t.match(at(10.8, 1), { delta: -0.1 }, 'a capture may run backwards')
  const fresh = new TcpStreams(PORTS)
  let last: StreamFrame | undefined
  for (let i = 0; i < 30; i++) last = fresh.push(tcpFrame({}, i, i * i))
  // Deltas are 2i - 1; the twenty before frame 29 are those of frames 9 to 28.
  t.equal(last?.l20Average, 36)
})

t.test('reports bytes cut off by the snap length as a gap of known length', async t => {
  const streams = new TcpStreams(PORTS)
  const whole = frameOf({ sequence: 1, payload: Buffer.from('abcdefgh') })
  const cut = captured(whole.bytes.subarray(0, 57), { wireLength: whole.bytes.length })
  const frame = streams.push(decodeTcp(cut, 1, PORTS) as TcpFrame)
  t.equal(contiguous(frame), 'abc.....')
  t.ok(consistent(frame))
  t.match(streams.push(tcpFrame({ sequence: 9, payload: Buffer.from('i') })), { from: 8, to: 9 })
})

t.test('limits connections and evicts one without recent frames', async t => {
  const streams = new TcpStreams(PORTS, { streams: 3 })
  const from = (sourcePort: number): number => streams.push(tcpFrame({ sourcePort })).stream.id
  t.same([from(1), from(2), from(3)], [0, 1, 2])
  t.equal(from(4), 3)
  t.equal(from(3), 2, 'still known')
  t.equal(from(5), 4)
  t.equal(from(3), 2, 'kept because it had a recent frame')
  t.equal(streams.counters.streamsEvicted, 2)
})

t.test('adds each connection of a flood at constant cost', async t => {
  const streams = new TcpStreams(PORTS, { streams: 10_000 })
  const frame = tcpFrame({ flags: SYN })
  const flood = (from: number): number => {
    const began = performance.now()
    for (let i = from; i < from + 10_000; i++)
      streams.push({ ...frame, ip: { ...frame.ip, source: `10.1.${i >> 8}.${i & 255}` } })
    return performance.now() - began
  }
  for (let i = 0; i < 3; i++) flood(i * 10_000)
  // Regression test: every eviction used to iterate over all earlier evictions.
  const before = Math.min(...[3, 4, 5].map(i => flood(i * 10_000)))
  t.ok(before < 2_000, `${before.toFixed(0)} ms`)
  t.equal(streams.open, 10_000)
  t.equal(streams.counters.streamsEvicted, 50_000)
})

/** Short complete connections from increasing client ports, and the state they leave. */
class Clients {
  readonly streams: TcpStreams
  #number = 0

  constructor(limits: Partial<TcpStreamLimits> = {}) {
    this.streams = new TcpStreams(PORTS, limits)
  }

  in(sourcePort: number, segment: Segment): StreamFrame {
    return this.streams.push(tcpFrame({ sourcePort, ...segment }, ++this.#number, this.#number))
  }

  out(destinationPort: number, segment: Segment): StreamFrame {
    return this.in(1883, { source: BROKER, destination: CLIENT, destinationPort, ...segment })
  }

  /** Opens a connection, sends data, closes both sides. Returns the stream. */
  runConnection(port: number, initial = 100): StreamFrame['stream'] {
    this.in(port, { sequence: initial, flags: SYN })
    this.out(port, { sequence: 500, acknowledgement: initial + 1, flags: SYN | ACK })
    this.in(port, { sequence: initial + 1, acknowledgement: 501, payload: Buffer.from('abc') })
    this.in(port, { sequence: initial + 4, acknowledgement: 501, flags: FIN | ACK })
    this.out(port, { sequence: 501, acknowledgement: initial + 5, flags: FIN | ACK })
    return this.in(port, { sequence: initial + 5, acknowledgement: 502 }).stream
  }
}

t.test('limits the number of closed connections kept', async t => {
  const clients = new Clients({ closedStreams: 50 })
  for (let port = 2_000; port < 12_000; port++) clients.runConnection(port)
  t.equal(clients.streams.open, 0)
  t.equal(clients.streams.closed, 50)
  for (let port = 12_000; port < 12_200; port++) {
    clients.in(port, { sequence: 100, flags: SYN })
    clients.out(port, { sequence: 0, acknowledgement: 101, flags: RST | ACK })
  }
  t.equal(clients.streams.open, 0, 'including refused connections')
  t.equal(clients.streams.closed, 50)
  t.match(clients.streams.counters, { streams: 10_200, streamsEvicted: 0 })
})

t.test('assigns late frames to a closed connection', async t => {
  const clients = new Clients({ closedStreams: 50 })
  const first = clients.runConnection(2_000)
  for (let port = 3_000; port < 3_040; port++) clients.runConnection(port)
  const again = clients.in(2_000, { sequence: 101, acknowledgement: 501, payload: Buffer.from('abc') })
  t.equal(again.stream, first)
  t.match(again, { from: 3, to: 3, chunks: [], delta: 241 }, 'retransmitted bytes are not delivered again')
  t.equal(clients.in(2_000, { sequence: 104, acknowledgement: 501, flags: FIN | ACK }).stream, first)
  t.equal(clients.in(2_000, { sequence: 100, flags: SYN }).stream, first, 'a retransmission of its SYN')
  const reused = clients.in(2_000, { sequence: 9_000, flags: SYN })
  t.match(
    reused,
    { delta: 0, stream: { id: 41, ended: { in: false, out: false } } },
    'a new sequence number starts a new stream'
  )
  t.match(clients.in(2_000, { sequence: 9_001, payload: Buffer.from('xy') }), { from: 0, to: 2, stream: { id: 41 } })
  t.equal(clients.streams.open, 1)
})

t.test('keeps a connection that continues after a forged RST', async t => {
  const clients = new Clients({ closedStreams: 10 })
  const { stream } = clients.in(2_000, { sequence: 100, flags: SYN })
  clients.in(2_000, { sequence: 77, flags: RST })
  for (let i = 0; i < 200; i++) {
    clients.runConnection(3_000 + i)
    const frame = clients.in(2_000, { sequence: 101 + i, payload: Buffer.from('x') })
    if (frame.stream !== stream || frame.to !== i + 1) return t.fail(`frame ${i}`)
  }
  t.equal(clients.streams.open, 1)
  t.equal(clients.streams.closed, 10)
})

t.test('limits and releases the buffered segments of all streams', async t => {
  const streams = new TcpStreams(PORTS, { streams: 3, heldBytesTotal: 1_000 })
  const early = (sourcePort: number): StreamFrame => {
    streams.push(tcpFrame({ sourcePort, sequence: 0, flags: SYN }))
    return streams.push(tcpFrame({ sourcePort, sequence: 100, payload: Buffer.alloc(200, 120) }))
  }
  t.equal(contiguous(early(1)), '')
  t.equal(contiguous(early(2)), '')
  const held = streams.heldBytes
  t.ok(held >= 400 && held <= 1_000)
  t.equal(
    contiguous(early(3)),
    '.'.repeat(99) + 'x'.repeat(200),
    'the direction that exceeds the limit skips its own gap'
  )
  t.equal(streams.heldBytes, held)
  streams.push(tcpFrame({ sourcePort: 1, sequence: 7, flags: SYN }))
  t.equal(streams.heldBytes, held / 2, 'a replaced stream releases its segments')
  for (const sourcePort of [4, 5, 6]) streams.push(tcpFrame({ sourcePort, flags: SYN }))
  t.equal(streams.heldBytes, 0, 'evicted streams release theirs')
})

t.test('keeps chunks in order with arbitrary segments', async t => {
  const sender = new Sender(100, { heldBytes: 200, heldSegments: 8 })
  let seed = 3
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff
    return seed % below
  }
  for (let i = 0; i < 20_000; i++) {
    const payload = Buffer.alloc(random(40), 97)
    const offset = random(20) === 0 ? random(0x7fff_ffff) * 2 : random(4000)
    const frame =
      random(5) === 0
        ? sender.acknowledge(offset)
        : sender.push({ sequence: 101 + offset, payload, flags: random(0x200) & ~SYN })
    if (!consistent(frame)) t.fail(`frame ${i}`)
  }
  t.ok(sender.streams.counters.gapBytes > 0)
})
