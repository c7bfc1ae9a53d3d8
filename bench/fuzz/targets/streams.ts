// Fuzz targets for TCP streams: reassembly of one direction, connections, and MQTT decoded from captured segments.
import type { Random } from '../../../models/random.js'
import { HELD_SEGMENT_BYTES, Reassembly } from '../../../src/decode/reassembly.js'
import { TcpStreams } from '../../../src/decode/tcp-streams.js'
import { DecodedJoin } from '../../../src/join/decoded.js'
import type { Direction, StreamChunk, StreamFrame, TcpFrame, TcpStream } from '../../../src/types.js'
import { CONNACK, PINGREQ, connect, publish, subscribe } from '../../../test/decode/craft-mqtt.js'
import { Script } from '../script.js'
import { check, contentAt, sameBytes } from '../target.js'
import type { FuzzTarget } from '../target.js'

const WRAP = 0x1_0000_0000
const HELD_BYTES = 2_000
const HELD_SEGMENTS = 8
const TOTAL_BYTES = 6_000
const LARGEST_SEGMENT = 300

/** Checks that chunks cover `from` to `to` without gaps and have the sent bytes. */
function checkChunks(chunks: readonly StreamChunk[], from: number, to: number, base?: number): void {
  let at = from
  for (const { start, length, bytes } of chunks) {
    check(start === at && length > 0, 'chunks are not consecutive')
    check(bytes === null || bytes.length === length, 'a chunk has the wrong length')
    if (bytes !== null && base !== undefined)
      check(sameBytes(bytes, contentAt(base + start, length)), 'a chunk has bytes that were not sent there')
    at += length
  }
  check(at === to, 'chunks do not end at the stream offset')
}

/** Input: a script of segments and acknowledgements, near the stream offset or anywhere. */
export const reassemblyTarget: FuzzTarget = {
  name: 'reassembly',
  properties: 'every byte is delivered as sent at its sequence number, once, in order; memory within the caps',
  weight: 6,
  covers: ['src/decode/reassembly.js'],
  generate: random =>
    Uint8Array.from({ length: 4 + 4 * random.integer(40) }, () => random.integer(random.integer(3) === 0 ? 256 : 16)),
  run(input) {
    const script = new Script(input)
    const counters = { gapsLost: 0, gapsForced: 0, gapBytes: 0 }
    const room = { bytes: 0 }
    const reassembly = new Reassembly(
      { heldBytes: HELD_BYTES, heldSegments: HELD_SEGMENTS, heldBytesTotal: TOTAL_BYTES },
      counters,
      room
    )
    const base = script.uint32()
    reassembly.place(base)
    let gaps = 0
    while (!script.over) {
      const kind = script.byte()
      const isFar = (kind & 0x70) === 0x70
      const from = reassembly.next
      const distance = isFar ? script.uint32() : script.byte() * 4 - 200
      const sequence = (base + (from % WRAP) + distance + WRAP) % WRAP
      if ((kind & 7) === 0) {
        reassembly.acknowledge(sequence)
        continue
      }
      const length = script.byte() + (kind & 0x80 ? LARGEST_SEGMENT : 0)
      const seen = (kind & 7) === 1 ? length >> 1 : length
      const chunks = reassembly.push(sequence, length, contentAt(sequence, seen))
      checkChunks(chunks, from, reassembly.next, base)
      for (const { lost, length } of chunks) if (lost === true) gaps += length
      check(reassembly.heldSegments <= HELD_SEGMENTS, 'too many segments are held')
      check(reassembly.heldBytes <= HELD_BYTES && room.bytes <= TOTAL_BYTES, 'too many bytes are held')
      check(
        room.bytes === reassembly.heldBytes + reassembly.heldSegments * HELD_SEGMENT_BYTES,
        'the counter of held bytes is wrong'
      )
    }
    check(counters.gapBytes === gaps, 'the counter of gap bytes is wrong')
    reassembly.release()
    check(room.bytes === 0, 'held bytes are not released')
  }
}

const NO_BYTES = new Uint8Array(0)
const PORTS: ReadonlySet<number> = new Set([1883, 8883])

/** Reads a segment from the script; `ends` has the last sequence number of each direction of each tuple. */
function anySegment(
  script: Script,
  number: number,
  ends: Map<string, number>,
  payloadOf: (sequence: number, length: number) => Uint8Array
): TcpFrame {
  const kind = script.byte()
  const tuple = script.byte()
  // One client uses an MQTT port as its source port.
  const client = { address: `10.0.0.${tuple & 3}`, port: [5_000, 5_001, 5_002, 1883][(tuple >> 2) & 3] }
  const broker = { address: '10.0.1.1', port: (tuple & 0x40) === 0 ? 1883 : 8883 }
  const [source, destination] = (tuple & 0x80) === 0 ? [client, broker] : [broker, client]
  const keyOf = (a: typeof source, b: typeof source): string => `${a.address} ${a.port} ${b.address} ${b.port}`
  const key = keyOf(source, destination)
  const last = ends.get(key) ?? script.uint32()
  const distance = (kind & 0x30) === 0x30 ? script.uint32() : (kind & 0x30) === 0x10 ? script.byte() - 128 : 0
  const sequence = (last + distance + WRAP) % WRAP
  const length = (kind & 3) === 0 ? 0 : script.byte()
  const flags = (kind & 4) === 0 ? 0x10 : script.byte() | ((script.byte() & 0xf) << 8)
  const seen = (kind & 0x40) === 0 ? length : length >> 1
  ends.set(key, (sequence + length + ((flags & 3) === 0 ? 0 : 1)) % WRAP)
  const acknowledgement = (kind & 0x80) === 0 ? (ends.get(keyOf(destination, source)) ?? 0) : script.uint32()
  return {
    number,
    seconds: number,
    nanoseconds: 0,
    wireLength: length + 54,
    ip: {
      source: source.address,
      destination: destination.address,
      length: length + 40,
      dontFragment: 1,
      moreFragments: 0,
      reservedBit: 0,
      ttl: 64
    },
    tcp: { sourcePort: source.port, destinationPort: destination.port, sequence, acknowledgement, flags, window: 512 },
    payloadLength: length,
    payload: payloadOf(sequence, seen)
  }
}

const STREAM_LIMITS = {
  streams: 6,
  closedStreams: 3,
  heldBytes: HELD_BYTES,
  heldSegments: HELD_SEGMENTS,
  heldBytesTotal: TOTAL_BYTES
}

/** Tracks the offset of each direction of each stream. */
class OffsetTracker {
  readonly #ends = new Map<TcpStream, Record<Direction, number>>()

  check({ stream, direction, from, to, chunks, frame }: StreamFrame): void {
    const ends = this.#ends.get(stream) ?? { in: 0, out: 0 }
    check(from === ends[direction] && to >= from, 'the offset of a direction decreases, or jumps between frames')
    checkChunks(chunks, from, to)
    check(frame.payloadLength >= 0, 'a length is negative')
    ends[direction] = to
    this.#ends.set(stream, ends)
  }
}

/** Input: segments of several connections, in both directions, with any flags. */
export const streamsTarget: FuzzTarget = {
  name: 'streams',
  properties: 'offsets only increase, chunks fill them exactly, tuples keep their stream; memory within the caps',
  weight: 4,
  covers: [
    'src/decode/tcp-streams.js',
    'src/decode/tuples.js',
    'src/decode/second-chance.js',
    'src/decode/reassembly.js',
    'src/decode/frame-times.js'
  ],
  generate: random =>
    Uint8Array.from({ length: 12 + random.integer(300) }, () => random.integer(random.integer(2) === 0 ? 256 : 20)),
  run(input) {
    const script = new Script(input)
    const streams = new TcpStreams(PORTS, STREAM_LIMITS)
    const tracker = new OffsetTracker()
    const ends = new Map<string, number>()
    for (let number = 1; !script.over; number++) {
      const placed = streams.push(anySegment(script, number, ends, contentAt))
      tracker.check(placed)
      const { stream, direction, frame } = placed
      const sender = direction === 'in' ? stream.client : stream.broker
      check(
        sender.port === frame.tcp.sourcePort && sender.address === frame.ip.source,
        'a frame is assigned to the wrong direction'
      )
      check(
        Number.isFinite(placed.delta) && Number.isFinite(placed.l20Average),
        'a time difference is not a finite number'
      )
      check(
        streams.open <= STREAM_LIMITS.streams && streams.closed <= STREAM_LIMITS.closedStreams,
        'too many streams are kept'
      )
      check(streams.heldBytes <= TOTAL_BYTES, 'too many bytes are held')
    }
    const { counters } = streams
    check(counters.streams >= counters.streamsEvicted, 'more streams were evicted than opened')
  }
}

function anyStream(random: Random, isClient: boolean): Buffer {
  const version = 3 + random.integer(3)
  const properties = version === 5 ? Buffer.alloc(0) : null
  const packets = [isClient ? connect(version) : CONNACK]
  for (let i = random.integer(6); i > 0; i--) {
    packets.push(
      random.integer(3) === 0
        ? PINGREQ
        : random.integer(4) === 0
          ? subscribe(['a/b'], { properties })
          : publish('topic', Buffer.alloc(random.integer(40), 97), { qos: random.integer(3), properties })
    )
  }
  return Buffer.concat(packets)
}

/** Decodes the segments of one direction; returns the completed packets. */
function decodeSegments(
  bytes: Uint8Array,
  cuts: (index: number) => number,
  order: (segments: TcpFrame[]) => TcpFrame[]
): { completed: number; initiated: number; joins: Set<string> } {
  const streams = new TcpStreams(PORTS)
  const join = new DecodedJoin({ topicCapBytes: 100, payloadCapBytes: 100 })
  const segments: TcpFrame[] = []
  const segment = (sequence: number, payload: Uint8Array, flags: number): TcpFrame => ({
    number: 1,
    seconds: 0,
    nanoseconds: 0,
    wireLength: 60,
    ip: {
      source: '10.0.0.2',
      destination: '10.0.0.1',
      length: 40,
      dontFragment: 0,
      moreFragments: 0,
      reservedBit: 0,
      ttl: 1
    },
    tcp: { sourcePort: 5_000, destinationPort: 1883, sequence: sequence >>> 0, acknowledgement: 0, flags, window: 1 },
    payloadLength: payload.length,
    payload
  })
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const end = Math.min(bytes.length, at + Math.max(1, cuts(i)))
    segments.push(segment(0xffff_fff0 + 1 + at, bytes.subarray(at, end), 0x10))
    at = end
  }
  const result = { completed: 0, initiated: 0, joins: new Set<string>() }
  for (const frame of [segment(0xffff_fff0, NO_BYTES, 2), ...order(segments)]) {
    const { completed, initiated, join: kind, packet } = join.push(streams.push(frame))
    check(initiated <= completed && (packet === null) === (completed === 0), 'the packet count of a frame is wrong')
    check(kind === 'decoded' || completed === 0, 'an undecoded frame has a packet')
    result.completed += completed
    result.initiated += initiated
    result.joins.add(kind)
  }
  return result
}

/** Input: a byte for the segmentation, then one direction, which is segmented in two ways and once out of order. */
export const decodedTarget: FuzzTarget = {
  name: 'decoded',
  properties: 'the same packets for any segmentation, in order or not; none from TLS',
  weight: 1,
  covers: ['src/join/decoded.js', 'src/decode/mqtt.js', 'src/decode/mqtt-body.js', 'src/decode/mqtt-filters.js'],
  generate: random =>
    Buffer.concat([
      Buffer.from([random.integer(256)]),
      random.integer(8) === 0 ? Buffer.from([0x16, 3, random.integer(6), 0, 9]) : Buffer.alloc(0),
      anyStream(random, random.integer(2) === 0)
    ]),
  run(input) {
    if (input.length < 2) return
    const bytes = input.subarray(1)
    const inOrder = (segments: TcpFrame[]): TcpFrame[] => segments
    const whole = decodeSegments(bytes, () => bytes.length, inOrder)
    const cut = decodeSegments(bytes, i => 1 + ((i * 7 + input[0]) % 23), inOrder)
    const swapped = decodeSegments(
      bytes,
      i => 1 + ((i * 5 + input[0]) % 31),
      segments => segments.flatMap((frame, i) => (i % 2 === 0 ? [segments[i + 1] ?? frame, frame] : []))
    )
    for (const other of [cut, swapped]) {
      check(
        other.completed === whole.completed && other.initiated === whole.initiated,
        'a different segmentation gives different packets'
      )
    }
  }
}

/** Input: mid-stream packets with gaps, resets and both directions. */
export const midstreamTarget: FuzzTarget = {
  name: 'midstream',
  properties: 'gaps, truncation and wrong starts cause no error and no double count',
  weight: 1,
  covers: ['src/join/decoded.js', 'src/decode/mqtt.js', 'src/decode/mqtt-boundary.js'],
  generate(random) {
    const parts: Buffer[] = []
    for (let i = 1 + random.integer(12); i > 0; i--) {
      const bytes = anyStream(random, random.integer(2) === 0)
      const piece = bytes.subarray(
        random.integer(4) === 0 ? random.integer(bytes.length) : 0,
        random.integer(3) === 0 ? random.integer(bytes.length) : undefined
      )
      parts.push(Buffer.from([random.integer(16), piece.length]), piece)
    }
    return Buffer.concat(parts)
  },
  run(input) {
    const script = new Script(input)
    const streams = new TcpStreams(PORTS, STREAM_LIMITS)
    const join = new DecodedJoin({ topicCapBytes: 100, payloadCapBytes: 100 })
    const tracker = new OffsetTracker()
    const ends = { in: 7, out: 9 }
    for (let number = 1; !script.over; number++) {
      const kind = script.byte()
      const direction = (kind & 1) === 0 ? 'in' : 'out'
      const [mine, other] = direction === 'in' ? [5_000, 1883] : [1883, 5_000]
      const payload = Buffer.from(script.take(script.byte()))
      if ((kind & 2) !== 0) ends[direction] += 40
      const sequence = ends[direction]
      const length = payload.length + ((kind & 4) === 0 ? 0 : 20)
      ends[direction] += length
      const placed = streams.push({
        number,
        seconds: number,
        nanoseconds: 0,
        wireLength: length + 54,
        ip: {
          source: direction === 'in' ? 'a' : 'b',
          destination: direction === 'in' ? 'b' : 'a',
          length: 40,
          dontFragment: 0,
          moreFragments: 0,
          reservedBit: 0,
          ttl: 1
        },
        tcp: {
          sourcePort: mine,
          destinationPort: other,
          sequence,
          acknowledgement: direction === 'in' ? ends.out : ends.in,
          flags: (kind & 8) === 0 ? 0x10 : 0x12,
          window: 1
        },
        payloadLength: length,
        payload
      })
      tracker.check(placed)
      const { completed, initiated, packet } = join.push(placed)
      check(initiated <= completed && (packet === null) === (completed === 0), 'the packet count of a frame is wrong')
      check(
        packet === null || packet.payload === null || packet.payload.length <= Math.min(100, packet.payloadLength),
        'a payload exceeds the cap'
      )
    }
  }
}
