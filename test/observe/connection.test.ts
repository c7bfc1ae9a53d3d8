// Watching a connection: the same packets for chunks of any size, and unchanged bytes.

import { Duplex, type DuplexOptions } from 'node:stream'
import t from 'tap'
import { Random } from '../../models/random.js'
import { watchConnection } from '../../src/observe/connection.js'
import type { Direction, MqttPacket } from '../../src/types.js'
import { CONNACK, connect, packet, PINGREQ, PUBACK, publish, subscribe } from '../decode/craft-mqtt.js'

const KEPT = { topicCapBytes: 256, payloadCapBytes: 1_024 }

/** A connection whose peer is the test. */
class Wire extends Duplex {
  readonly sent: Buffer[] = []
  /** Called before bytes are sent. */
  onSend: () => void = () => {}

  override _read(): void {}

  override _write(chunk: Buffer | string, encoding: BufferEncoding, callback: () => void): void {
    this.record(chunk, encoding)
    callback()
  }

  protected record(chunk: Buffer | string, encoding: BufferEncoding): void {
    this.onSend()
    this.sent.push(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk)
  }
}

class VectorWire extends Wire {
  override _writev(chunks: { chunk: Buffer | string; encoding: BufferEncoding }[], callback: () => void): void {
    for (const { chunk, encoding } of chunks) this.record(chunk, encoding)
    callback()
  }
}

interface Reported {
  packets: { direction: Direction; packet: MqttPacket }[]
  marks: { direction: Direction; begin: number; offset: number }[]
}

function watch(wire: Duplex, kept = KEPT): Reported {
  const reported: Reported = { packets: [], marks: [] }
  watchConnection(wire, kept, {
    // Copies kept bytes immediately, as the observer does.
    onPacket: (direction, packet) => {
      const { topic, payload } = packet
      reported.packets.push({
        direction,
        packet: { ...packet, topic: topic && Buffer.from(topic), payload: payload && Buffer.from(payload) }
      })
    },
    onMark: (direction, begin, offset) => {
      reported.marks.push({ direction, begin, offset })
    }
  })
  return reported
}

const INBOUND = [
  connect(5),
  subscribe(['a/#', 'b'], { properties: Buffer.alloc(0) }),
  publish('room/1', 'warm', { properties: Buffer.alloc(0) }),
  publish('room/2', 'x'.repeat(150), { qos: 1, properties: Buffer.alloc(0) }),
  PINGREQ
]
const OUTBOUND = [
  CONNACK,
  publish('a/b', '', { properties: Buffer.alloc(0) }),
  PUBACK,
  publish('a/c', Buffer.alloc(200, 7), { qos: 1, properties: Buffer.alloc(0) })
]

function endsOf(packets: readonly Buffer[]): number[] {
  let end = 0
  return packets.map(({ length }) => (end += length))
}

function summary({ packets }: Reported, wanted: Direction): unknown[] {
  return packets.filter(({ direction }) => direction === wanted).map(({ packet }) => packet)
}

async function wholeChunks(): Promise<{ in: unknown[]; out: unknown[] }> {
  const wire = new Wire()
  const reported = watch(wire)
  for (const bytes of INBOUND) wire.push(bytes)
  for (const bytes of OUTBOUND) wire.write(bytes)
  return { in: summary(reported, 'in'), out: summary(reported, 'out') }
}

t.test('reports packets that are sent one by one', async t => {
  const { in: inbound, out } = await wholeChunks()
  t.same(
    inbound.map(reported => (reported as MqttPacket).end),
    endsOf(INBOUND)
  )
  t.same(
    out.map(reported => (reported as MqttPacket).end),
    endsOf(OUTBOUND)
  )
  t.match(inbound[2], {
    header: 0x30,
    topic: Buffer.from('room/1'),
    topicLength: 6,
    payload: Buffer.from('warm'),
    payloadLength: 4
  })
  t.match(out[3], { header: 0x32, topic: Buffer.from('a/c'), payload: Buffer.alloc(200, 7) })
})

t.test('reports the same packets for chunks of any size', async t => {
  const expected = await wholeChunks()
  const [inbound, outbound] = [Buffer.concat(INBOUND), Buffer.concat(OUTBOUND)]
  const cuts: [Buffer, number[]][] = []
  for (let at = 0; at <= Math.max(inbound.length, outbound.length); at++) cuts.push([Buffer.alloc(0), [at]])
  cuts.push([Buffer.alloc(0), [...Array(inbound.length).keys()]])
  let wrong = 0
  for (const [, positions] of cuts) {
    const wire = new Wire()
    const reported = watch(wire)
    const pieces = (bytes: Buffer): Buffer[] =>
      [0, ...positions].map((start, i) => bytes.subarray(start, positions[i] ?? bytes.length))
    for (const piece of pieces(inbound)) wire.push(piece)
    for (const piece of pieces(outbound)) wire.write(piece)
    if (!same(summary(reported, 'in'), expected.in) || !same(summary(reported, 'out'), expected.out)) wrong++
    wrong += marksThatLie(reported, 'in', endsOf(INBOUND), positions, inbound.length)
    wrong += marksThatLie(reported, 'out', endsOf(OUTBOUND), positions, outbound.length)
  }
  t.equal(wrong, 0)
})

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** Checks that each chunk that ends inside a packet has a mark with its end and the packet's start. */
function marksThatLie(
  { marks }: Reported,
  direction: Direction,
  ends: number[],
  positions: number[],
  length: number
): number {
  const expected = [...positions.filter(at => at > 0 && at < length), length]
    .filter(at => !ends.includes(at))
    .map(offset => ({ direction, begin: Math.max(0, ...ends.filter(end => end <= offset)), offset }))
  return same(
    marks.filter(mark => mark.direction === direction),
    expected
  )
    ? 0
    : 1
}

t.test('counts strings and vectored writes', async t => {
  const expected = await wholeChunks()
  for (const options of [{}, { decodeStrings: false }] satisfies DuplexOptions[]) {
    for (const wire of [new Wire(options), new VectorWire(options)]) {
      const reported = watch(wire)
      wire.push(Buffer.concat(INBOUND).toString('latin1'), 'latin1')
      t.same(summary(reported, 'in'), expected.in)
      wire.write(Buffer.concat(OUTBOUND.slice(0, 2)).toString('latin1'), 'latin1')
      wire.cork()
      wire.write(OUTBOUND[2].toString('hex'), 'hex')
      wire.write(OUTBOUND[3].subarray(0, 20))
      wire.write(OUTBOUND[3].subarray(20).toString('base64'), 'base64')
      wire.uncork()
      t.same(summary(reported, 'out'), expected.out)
      t.ok(Buffer.concat(wire.sent).equals(Buffer.concat(OUTBOUND)), 'bytes are unchanged')
    }
  }
})

t.test('does not change what a reader of the stream receives', async t => {
  for (const size of [1, 7, 100_000]) {
    const wire = new VectorWire()
    const reported = watch(wire)
    const seen: Buffer[] = []
    wire.on('data', (chunk: Buffer) => seen.push(chunk))
    const ended = new Promise<void>(resolve => {
      wire.on('end', resolve)
    })
    const bytes = Buffer.concat(INBOUND)
    for (let at = 0; at < bytes.length; at += size) wire.push(bytes.subarray(at, at + size))
    wire.push(null)
    await ended
    t.ok(Buffer.concat(seen).equals(bytes))
    t.equal(reported.packets.length, INBOUND.length)
  }
  const wire = new Wire({ readableHighWaterMark: 4 })
  watch(wire)
  t.equal(wire.push(Buffer.alloc(5)), false, 'push still reports backpressure')
})

t.test('reports a packet before its bytes are passed on', async t => {
  const wire = new Wire()
  const reported = watch(wire)
  let toldAtSend = -1
  wire.onSend = () => {
    toldAtSend = reported.packets.length
  }
  wire.write(CONNACK)
  t.equal(toldAtSend, 1)
  let toldAtRead = -1
  wire.on('readable', () => {
    toldAtRead = reported.packets.length
    wire.read()
  })
  wire.push(PINGREQ)
  await new Promise(resolve => setImmediate(resolve))
  t.equal(toldAtRead, 2)
})

t.test('keeps no more than the limits, whatever length is declared', async t => {
  const wire = new Wire()
  const reported = watch(wire, { topicCapBytes: 3, payloadCapBytes: 5 })
  wire.push(publish('room/1', 'x'.repeat(100)))
  t.match(reported.packets[0].packet, {
    topic: Buffer.from('roo'),
    topicLength: 6,
    payload: Buffer.from('xxxxx'),
    payloadLength: 100
  })
})

t.test('watches arbitrary bytes without errors, and the watermark advances', async t => {
  const random = new Random(3)
  for (let round = 0; round < 300; round++) {
    const wire = new Wire()
    const reported = watch(wire)
    let offset = 0
    for (let i = 0; i < 10; i++) {
      const chunk = Buffer.from(Array.from({ length: random.integer(60) }, () => random.integer(256)))
      offset += chunk.length
      wire.push(chunk)
      wire.write(chunk)
    }
    for (const direction of ['in', 'out'] as const) {
      const reached = Math.max(
        ...reported.marks.filter(mark => mark.direction === direction).map(mark => mark.offset),
        ...reported.packets.filter(reported => reported.direction === direction).map(({ packet }) => packet.end)
      )
      if (reached !== offset) t.equal(reached, offset, `round ${round} ${direction}`)
    }
    if (reported.packets.some(({ packet: { payload } }) => payload !== null && payload.length > KEPT.payloadCapBytes))
      t.fail('too much kept')
  }
  const wire = new Wire()
  const reported = watch(wire)
  wire.push(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0xff]))
  wire.push(packet(0xc0))
  t.same(reported.packets, [], 'no packets after a remaining length of more than four bytes')
  t.same(
    reported.marks.map(({ begin, offset }) => [begin, offset]),
    [
      [0, 6],
      [0, 8]
    ]
  )
})
