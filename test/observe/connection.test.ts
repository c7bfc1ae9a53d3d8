// Watching a connection: the same packets whichever way its bytes are cut, and not a byte changed.

import { Duplex, type DuplexOptions } from 'node:stream'
import t from 'tap'
import { Random } from '../../models/random.js'
import { watchConnection } from '../../src/observe/connection.js'
import type { Direction, MqttPacket } from '../../src/types.js'
import { CONNACK, connect, packet, PINGREQ, PUBACK, publish, subscribe } from '../decode/craft-mqtt.js'

const KEPT = { topicCapBytes: 256, payloadCapBytes: 1_024 }

/** A connection whose other side is the test. */
class Wire extends Duplex {
  readonly sent: Buffer[] = []
  /** Called before bytes are handed to the wire. */
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

interface Told {
  packets: { direction: Direction; packet: MqttPacket }[]
  marks: { direction: Direction; begin: number; offset: number }[]
}

function watch(wire: Duplex, kept = KEPT): Told {
  const told: Told = { packets: [], marks: [] }
  watchConnection(wire, kept, {
    // As the observer does: what is kept is copied at once.
    onPacket: (direction, packet) => {
      const { topic, payload } = packet
      told.packets.push({
        direction,
        packet: { ...packet, topic: topic && Buffer.from(topic), payload: payload && Buffer.from(payload) }
      })
    },
    onMark: (direction, begin, offset) => {
      told.marks.push({ direction, begin, offset })
    }
  })
  return told
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

function summary({ packets }: Told, wanted: Direction): unknown[] {
  return packets.filter(({ direction }) => direction === wanted).map(({ packet }) => packet)
}

async function whole(): Promise<{ in: unknown[]; out: unknown[] }> {
  const wire = new Wire()
  const told = watch(wire)
  for (const bytes of INBOUND) wire.push(bytes)
  for (const bytes of OUTBOUND) wire.write(bytes)
  return { in: summary(told, 'in'), out: summary(told, 'out') }
}

t.test('packets as they are sent, one by one', async t => {
  const { in: inbound, out } = await whole()
  t.same(
    inbound.map(told => (told as MqttPacket).end),
    endsOf(INBOUND)
  )
  t.same(
    out.map(told => (told as MqttPacket).end),
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

t.test('cut at every byte, and into single bytes, it tells the same', async t => {
  const expected = await whole()
  const [inbound, outbound] = [Buffer.concat(INBOUND), Buffer.concat(OUTBOUND)]
  const cuts: [Buffer, number[]][] = []
  for (let at = 0; at <= Math.max(inbound.length, outbound.length); at++) cuts.push([Buffer.alloc(0), [at]])
  cuts.push([Buffer.alloc(0), [...Array(inbound.length).keys()]])
  let wrong = 0
  for (const [, positions] of cuts) {
    const wire = new Wire()
    const told = watch(wire)
    const pieces = (bytes: Buffer): Buffer[] =>
      [0, ...positions].map((start, i) => bytes.subarray(start, positions[i] ?? bytes.length))
    for (const piece of pieces(inbound)) wire.push(piece)
    for (const piece of pieces(outbound)) wire.write(piece)
    if (!same(summary(told, 'in'), expected.in) || !same(summary(told, 'out'), expected.out)) wrong++
    wrong += marksThatLie(told, 'in', endsOf(INBOUND), positions, inbound.length)
    wrong += marksThatLie(told, 'out', endsOf(OUTBOUND), positions, outbound.length)
  }
  t.equal(wrong, 0)
})

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** There is a mark for each piece that ends within a packet, at its end, and it names that packet's beginning. */
function marksThatLie(
  { marks }: Told,
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

t.test('strings and vectors are counted as they are written', async t => {
  const expected = await whole()
  for (const options of [{}, { decodeStrings: false }] satisfies DuplexOptions[]) {
    for (const wire of [new Wire(options), new VectorWire(options)]) {
      const told = watch(wire)
      wire.push(Buffer.concat(INBOUND).toString('latin1'), 'latin1')
      t.same(summary(told, 'in'), expected.in)
      wire.write(Buffer.concat(OUTBOUND.slice(0, 2)).toString('latin1'), 'latin1')
      wire.cork()
      wire.write(OUTBOUND[2].toString('hex'), 'hex')
      wire.write(OUTBOUND[3].subarray(0, 20))
      wire.write(OUTBOUND[3].subarray(20).toString('base64'), 'base64')
      wire.uncork()
      t.same(summary(told, 'out'), expected.out)
      t.ok(Buffer.concat(wire.sent).equals(Buffer.concat(OUTBOUND)), 'and arrive unchanged')
    }
  }
})

t.test('who reads the stream sees what it would see unwatched', async t => {
  for (const size of [1, 7, 100_000]) {
    const wire = new VectorWire()
    const told = watch(wire)
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
    t.equal(told.packets.length, INBOUND.length)
  }
  const wire = new Wire({ readableHighWaterMark: 4 })
  watch(wire)
  t.equal(wire.push(Buffer.alloc(5)), false, 'push still says when to stop')
})

t.test('a packet is told before its bytes go on', async t => {
  const wire = new Wire()
  const told = watch(wire)
  let toldAtSend = -1
  wire.onSend = () => {
    toldAtSend = told.packets.length
  }
  wire.write(CONNACK)
  t.equal(toldAtSend, 1)
  let toldAtRead = -1
  wire.on('readable', () => {
    toldAtRead = told.packets.length
    wire.read()
  })
  wire.push(PINGREQ)
  await new Promise(resolve => setImmediate(resolve))
  t.equal(toldAtRead, 2)
})

t.test('no more is kept than was asked for, whatever is declared', async t => {
  const wire = new Wire()
  const told = watch(wire, { topicCapBytes: 3, payloadCapBytes: 5 })
  wire.push(publish('room/1', 'x'.repeat(100)))
  t.match(told.packets[0].packet, {
    topic: Buffer.from('roo'),
    topicLength: 6,
    payload: Buffer.from('xxxxx'),
    payloadLength: 100
  })
})

t.test('garbage is watched without a word, and the watermark goes on', async t => {
  const random = new Random(3)
  for (let round = 0; round < 300; round++) {
    const wire = new Wire()
    const told = watch(wire)
    let offset = 0
    for (let i = 0; i < 10; i++) {
      const chunk = Buffer.from(Array.from({ length: random.integer(60) }, () => random.integer(256)))
      offset += chunk.length
      wire.push(chunk)
      wire.write(chunk)
    }
    for (const direction of ['in', 'out'] as const) {
      const reached = Math.max(
        ...told.marks.filter(mark => mark.direction === direction).map(mark => mark.offset),
        ...told.packets.filter(told => told.direction === direction).map(({ packet }) => packet.end)
      )
      if (reached !== offset) t.equal(reached, offset, `round ${round} ${direction}`)
    }
    if (told.packets.some(({ packet: { payload } }) => payload !== null && payload.length > KEPT.payloadCapBytes))
      t.fail('too much kept')
  }
  const wire = new Wire()
  const told = watch(wire)
  wire.push(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0xff]))
  wire.push(packet(0xc0))
  t.same(told.packets, [], 'after a length of more than four bytes nothing is MQTT any more')
  t.same(
    told.marks.map(({ begin, offset }) => [begin, offset]),
    [
      [0, 6],
      [0, 8]
    ]
  )
})
