// The exact join against its definition, on random conversations and in any order of frames and broker entries.

import t from 'tap'
import { Random } from '../../models/random.js'
import { mqttFeatures } from '../../src/features/extractor.js'
import { DecodedJoin } from '../../src/join/decoded.js'
import type { BrokerEntry } from '../../src/observe/entries.js'
import type { TrafficRecord } from '../../src/record.js'
import type { Direction, MqttPacket, StreamFrame } from '../../src/types.js'
import { ACK, type Segment } from '../decode/craft.js'
import { CONNACK, connect, PINGREQ, PINGRESP, PUBACK, publish, subscribe } from '../decode/craft-mqtt.js'
import { Link, TestConnection, TestJoin, TestTap } from './wire.js'

/** Conversations as seen by tap and broker. */
interface Trace {
  /** In capture order. */
  frames: StreamFrame[]
  /** In ring order. */
  entries: BrokerEntry[]
  /** The packets of each direction of each connection, by port and direction. */
  truth: Map<string, MqttPacket[]>
}

class Conversations {
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  /** Several concurrent connections, each with its own port. */
  trace(): Trace {
    const truth = new Map<string, MqttPacket[]>()
    const talks = Array.from({ length: 1 + this.#random.integer(3) }, (_, i) => this.#talk(i + 1, 40_000 + i, truth))
    const tap = new TestTap()
    const frames = this.merge(talks.map(({ segments }) => segments)).map(segment => tap.capture(segment))
    return { frames, entries: this.merge(talks.map(({ entries }) => entries)), truth }
  }

  #talk(id: number, port: number, truth: Map<string, MqttPacket[]>): { segments: Segment[]; entries: BrokerEntry[] } {
    const link = new Link(port, { in: this.#random.uint32(), out: this.#random.uint32() })
    const connection = new TestConnection(id, port)
    const bytes = { in: this.#bytes('in'), out: this.#bytes('out') }
    const entries: Record<Direction, BrokerEntry[]> = { in: [], out: [] }
    for (const direction of ['in', 'out'] as const) {
      for (const chunk of this.#cut(bytes[direction])) entries[direction].push(...connection.pass(direction, chunk))
      truth.set(
        `${port} ${direction}`,
        entries[direction].filter(entry => entry.kind === 'packet').map(({ packet }) => packet)
      )
    }
    const segments = (direction: Direction): Segment[] =>
      this.#disturb(this.#cut(bytes[direction]).map(piece => link.next(direction, piece)))
    return {
      segments: [
        ...link.handshake(),
        ...this.merge([segments('in'), segments('out'), this.#acks(link)]),
        link.fin('in'),
        link.fin('out')
      ],
      entries: [connection.open(), ...this.merge([entries.in, entries.out]), connection.close()]
    }
  }

  #bytes(direction: Direction): Buffer {
    const random = this.#random
    const makers: (() => Buffer)[] =
      direction === 'in'
        ? [
            () => PINGREQ,
            () => publish(`t${random.integer(99)}`, 'x'.repeat(random.integer(300))),
            () => publish('q', 'y', { qos: 1 }),
            () => subscribe(['a/#'])
          ]
        : [
            () => PINGRESP,
            () => PUBACK,
            () => publish('down', Buffer.alloc(random.integer(2_000), 1)),
            () => publish('d', 'z', { qos: 1 })
          ]
    const count = random.integer(25)
    return Buffer.concat([
      direction === 'in' ? connect() : CONNACK,
      ...Array.from({ length: count }, () => makers[random.integer(makers.length)]())
    ])
  }

  /** Cuts into pieces, from single bytes to everything at once. */
  #cut(bytes: Buffer): Buffer[] {
    const random = this.#random
    const most = [5, 40, 200, 1_400, 20_000][random.integer(5)]
    const pieces = []
    for (let at = 0; at < bytes.length;) {
      const length = 1 + random.integer(most)
      pieces.push(bytes.subarray(at, at + length))
      at += length
    }
    return pieces
  }

  /** Repeats and reorders some segments, as a network does. */
  #disturb(segments: Segment[]): Segment[] {
    const random = this.#random
    const disturbed = segments.flatMap((segment, i) => {
      const again = random.integer(10)
      return again === 0 ? [segment, segment] : again === 1 ? [segment, segments[random.integer(i + 1)]] : [segment]
    })
    for (let i = 1; i < disturbed.length; i++) {
      if (random.integer(5) > 0) continue
      const [late] = disturbed.splice(Math.max(0, i - 1 - random.integer(3)), 1)
      disturbed.splice(i, 0, late)
    }
    return disturbed
  }

  #acks(link: Link): Segment[] {
    return Array.from({ length: this.#random.integer(5) }, () =>
      link.segment(this.#random.integer(2) === 0 ? 'in' : 'out', 0, undefined, ACK)
    )
  }

  /** Merges lists in random order, keeping the order within each list. */
  merge<T>(lists: readonly (readonly T[])[]): T[] {
    const random = this.#random
    const rest = lists.map(list => [...list]).filter(list => list.length > 0)
    const merged: T[] = []
    while (rest.length > 0) {
      const i = random.integer(rest.length)
      // Runs of some length, so that one side is sometimes far ahead.
      merged.push(...rest[i].splice(0, 1 + random.integer(random.integer(2) === 0 ? 1 : 30)))
      if (rest[i].length === 0) rest.splice(i, 1)
    }
    return merged
  }
}

/** The definition: a frame that moves the contiguous end from n to n' completes the packets with n < end <= n'. */
function completedBy({ stream, direction, from, to }: StreamFrame, truth: Trace['truth']): MqttPacket[] {
  return (truth.get(`${stream.client.port} ${direction}`) ?? []).filter(({ end }) => end > from && end <= to)
}

function run({ frames, entries }: Trace, random: Random): TestJoin {
  const test = new TestJoin()
  test.join.tapUp()
  const order = new Conversations(random).merge<() => void>([
    frames.map(frame => () => {
      test.join.frame(frame)
    }),
    entries.map(entry => () => {
      test.join.entry(entry)
    })
  ])
  for (const step of order) {
    step()
    if (random.integer(4) === 0) test.join.release()
  }
  test.join.release()
  return test
}

function hex(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString('hex')
}

function agrees(
  record: TrafficRecord | undefined,
  { frame, direction, from, to }: StreamFrame,
  packets: MqttPacket[]
): boolean {
  if (record === undefined || record.frame !== frame.number || record.direction !== direction) return false
  if (record.packets !== packets.length || (to > from && record.join !== 'exact')) return false
  const { mqtt_header, mqtt_len, mqtt_topic_len, mqtt_msg, tcp_pdu_size } = record.features
  if (packets.length === 0) return mqtt_header === null && mqtt_msg === null
  const expected = mqttFeatures(packets[0])
  return (
    mqtt_header === expected.mqtt_header &&
    mqtt_len === expected.mqtt_len &&
    mqtt_topic_len === expected.mqtt_topic_len &&
    tcp_pdu_size === expected.tcp_pdu_size &&
    hex(mqtt_msg) === hex(expected.mqtt_msg)
  )
}

/** The part of the records that must not depend on the order. The join kind of frames without new data does. */
function essence(records: readonly TrafficRecord[], { frames }: Trace): string {
  return JSON.stringify(
    records.map((record, i) => (frames[i].from === frames[i].to ? { ...record, join: null } : record))
  )
}

t.test('every frame gets exactly the packets that it completes, in any order of frames and entries', async t => {
  let joined = 0
  let multiple = 0
  for (let seed = 1; seed <= 80; seed++) {
    const trace = new Conversations(new Random(seed)).trace()
    const { records, join } = run(trace, new Random(seed + 1_000))
    const wrong = trace.frames.findIndex((frame, i) => !agrees(records[i], frame, completedBy(frame, trace.truth)))
    if (wrong >= 0 || records.length !== trace.frames.length || join.held > 0) {
      t.fail(`seed ${seed}: frame ${wrong + 1} of ${trace.frames.length}; ${records.length} records, ${join.held} held`)
    }
    const { framesJoined, ...trouble } = join.counters
    if (Object.values(trouble).some(count => count > 0)) t.same(trouble, {}, `seed ${seed}`)
    joined += framesJoined
    multiple += records.filter(({ packets }) => packets > 1).length
  }
  t.ok(joined > 5_000 && multiple > 500, `${joined} frames joined, ${multiple} with several packets`)
})

t.test('the order in which tap and broker report makes no difference', async t => {
  let orders = 0
  for (let seed = 1; seed <= 15; seed++) {
    const trace = new Conversations(new Random(seed)).trace()
    const first = essence(run(trace, new Random(seed)).records, trace)
    for (let order = 1; order <= 5; order++, orders++) {
      if (essence(run(trace, new Random(seed * 100 + order)).records, trace) !== first)
        t.fail(`seed ${seed}, order ${order}`)
    }
  }
  t.equal(orders, 75)
})

t.test('the records match those decoded from the capture alone', async t => {
  let compared = 0
  for (let seed = 1; seed <= 30; seed++) {
    const trace = new Conversations(new Random(seed)).trace()
    const { records } = run(trace, new Random(seed))
    const decoded = new DecodedJoin({ topicCapBytes: 256, payloadCapBytes: 1_024 })
    for (const [i, frame] of trace.frames.entries()) {
      const { packet, completed } = decoded.push(frame)
      const { mqtt_header, mqtt_msg, mqtt_len } = records[i].features
      const same =
        records[i].packets === completed &&
        mqtt_header === (packet?.header ?? null) &&
        mqtt_len === (packet?.remainingLength ?? null) &&
        hex(mqtt_msg) === hex(packet?.payload ?? null)
      if (!same) t.fail(`seed ${seed}, frame ${i + 1}`)
      compared++
    }
  }
  t.ok(compared > 5_000, `${compared} frames`)
})

t.test('entries dropped by a full ring lose joins, but never give a wrong join', async t => {
  let exact = 0
  let none = 0
  for (let seed = 1; seed <= 80; seed++) {
    const random = new Random(seed)
    const trace = new Conversations(random).trace()
    const entries = trace.entries.filter(({ kind }) => (kind !== 'packet' && kind !== 'mark') || random.integer(6) > 0)
    const { records, join, clock } = run({ ...trace, entries }, random)
    // Frames whose entries never arrive are given up.
    for (let i = 0; i < 1_000 && join.held > 0; i++) {
      clock.advance(1_001)
      join.release()
    }
    if (join.held > 0) t.equal(join.held, 0, `seed ${seed}`)
    const byFrame = new Map(records.map(record => [record.frame, record]))
    for (const frame of trace.frames) {
      const record = byFrame.get(frame.frame.number)
      // After a fallback to packets there is no frame record.
      if (record === undefined || frame.to === frame.from) continue
      const { join, features } = record
      const sound =
        join === 'exact'
          ? agrees(record, frame, completedBy(frame, trace.truth))
          : features.mqtt_header === null && features.mqtt_msg === null
      if (!sound) t.fail(`seed ${seed}, frame ${frame.frame.number}`)
      if (join === 'exact') exact++
      else none++
    }
  }
  t.ok(exact > 2_000 && none > 2_000, `${exact} exact, ${none} none`)
})
