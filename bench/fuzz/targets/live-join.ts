// Fuzz target for the live join: broker entries and captured frames, including forged segments.
import { LiveJoin } from '../../../src/join/live.js'
import { TcpStreams } from '../../../src/decode/tcp-streams.js'
import { Duplex } from 'node:stream'
import type { Random } from '../../../models/random.js'
import { watchConnection } from '../../../src/observe/connection.js'
import type { BrokerEntry } from '../../../src/observe/entries.js'
import type { TrafficRecord } from '../../../src/record.js'
import type { Direction, TcpFrame } from '../../../src/types.js'
import { Script } from '../script.js'
import { check } from '../target.js'
import type { FuzzTarget } from '../target.js'
import { anyPackets } from './packets.js'

const PORTS: ReadonlySet<number> = new Set([1883])
const LIMITS = { holdMs: 1_000, blindMs: 5_000, pendingFrames: 12, packetsPerConnection: 8, unboundStreams: 4 }
const STREAM_LIMITS = { streams: 6, heldBytes: 2_000, heldSegments: 8, heldBytesTotal: 6_000 }
const WRAP = 0x1_0000_0000
const NO_BYTES = new Uint8Array(0)
const SYN = 2
const ACK = 16
const TRANSPORTS = ['tcp', 'tcp', 'tcp', 'tls', 'websocket', 'stream'] as const

class Sink extends Duplex {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: unknown, callback: () => void): void {
    callback()
  }
}

/** A simulated connection: the bytes that its broker reads and writes, and the segments that carry them. */
class SimulatedConnection {
  readonly sent = { in: 0, out: 0 }
  readonly #stream = new Sink()
  readonly first = { in: 0xffff_ff80, out: 5_000 }

  constructor(
    readonly id: number,
    readonly port: number,
    report: (entry: BrokerEntry) => void
  ) {
    this.#stream.resume()
    watchConnection(
      this.#stream,
      { topicCapBytes: 20, payloadCapBytes: 20 },
      {
        onPacket: (direction, packet, ordinal) => {
          const { topic, payload } = packet
          report({
            kind: 'packet',
            connection: id,
            direction,
            time: 0,
            ordinal,
            last: true,
            packet: { ...packet, topic: topic && Uint8Array.from(topic), payload: payload && Uint8Array.from(payload) }
          })
        },
        onMark: (direction, begin, offset, ordinal) => {
          report({ kind: 'mark', connection: id, direction, time: 0, begin, offset, ordinal })
        }
      }
    )
  }

  /** Lets the broker read or write bytes; returns their offset. */
  pass(direction: Direction, bytes: Uint8Array): number {
    const at = this.sent[direction]
    this.sent[direction] += bytes.length
    if (direction === 'in') this.#stream.push(Buffer.from(bytes))
    else this.#stream.write(Buffer.from(bytes))
    return at
  }

  segment(direction: Direction, offset: number, payload: Uint8Array, flags: number, number: number): TcpFrame {
    const isIn = direction === 'in'
    const [client, broker] = [
      { address: '10.0.0.2', port: this.port },
      { address: '10.0.0.1', port: 1883 }
    ]
    const [source, destination] = isIn ? [client, broker] : [broker, client]
    const sequence = (this.first[direction] + ((flags & SYN) === 0 ? 1 : 0) + offset + WRAP) % WRAP
    const acknowledgement = (flags & ACK) === 0 ? 0 : (this.first[isIn ? 'out' : 'in'] + 1) % WRAP
    return {
      number,
      seconds: number,
      nanoseconds: 0,
      wireLength: 54 + payload.length,
      ip: {
        source: source.address,
        destination: destination.address,
        length: 40 + payload.length,
        dontFragment: 1,
        moreFragments: 0,
        reservedBit: 0,
        ttl: 64
      },
      tcp: { sourcePort: source.port, destinationPort: destination.port, sequence, acknowledgement, flags, window: 1 },
      payloadLength: payload.length,
      payload
    }
  }
}

/** The join under test, with its inputs and records. */
class JoinHarness {
  readonly records: TrafficRecord[] = []
  readonly join: LiveJoin
  readonly #streams = new TcpStreams(PORTS, STREAM_LIMITS)
  #now = 0
  /** Simulates a full ring: packet entries and marks are lost. */
  isRingFull = false
  frames = 0
  packetsReported = 0

  constructor() {
    this.join = new LiveJoin(
      {
        onRecord: record => {
          this.records.push(record)
        }
      },
      { now: () => this.#now },
      LIMITS
    )
  }

  report(entry: BrokerEntry): void {
    if (this.isRingFull && (entry.kind === 'packet' || entry.kind === 'mark')) return
    if (entry.kind === 'packet') this.packetsReported++
    this.join.entry(entry)
  }

  capture(frame: TcpFrame): void {
    this.frames++
    this.join.frame(this.#streams.push(frame))
  }

  pass(ms: number): void {
    this.#now += ms
    this.join.release()
    check(this.join.held <= LIMITS.pendingFrames, 'too many frames are held')
  }
}

/** Generates a step: kind, variation, length and bytes. */
function step(random: Random): Buffer {
  const bytes = anyPackets(random, 4, 1 + random.integer(2)).subarray(0, 200)
  const kind = [0, 0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13][random.integer(19)]
  return Buffer.concat([
    Buffer.from([kind | (random.integer(2) << 4) | (random.integer(4) << 5), random.integer(256), bytes.length]),
    bytes
  ])
}

/**
 * Input: a byte for the transport, then steps. A step is a byte for action, direction and connection, a byte for a
 * variation, and packets. Forged segments have any sequence number and any bytes.
 */
export const joinTarget: FuzzTarget = {
  name: 'join',
  properties:
    'at most one record per frame; each packet counted at most once; a record has the packet of its own bytes; memory within the caps',
  weight: 1,
  covers: [
    'src/join/live.js',
    'src/join/packet-queue.js',
    'src/join/flow-table.js',
    'src/join/pause-alignment.js',
    'src/queue.js',
    'src/join/frame-check.js'
  ],
  generate: random =>
    Buffer.concat([
      Buffer.from([random.integer(6)]),
      ...Array.from({ length: 2 + random.integer(16) }, () => step(random))
    ]),
  run(input) {
    const script = new Script(input)
    const transport = TRANSPORTS[script.below(TRANSPORTS.length)]
    const harness = new JoinHarness()
    harness.join.tapUp()
    const connections: SimulatedConnection[] = []
    let number = 0
    let last: TcpFrame | undefined
    while (!script.over) {
      const action = script.byte()
      const variation = script.byte()
      const bytes = script.take(script.byte())
      const direction = (action & 16) === 0 ? 'in' : 'out'
      const connection = connections.at(-1 - ((action >> 5) % Math.max(1, connections.length)))
      const capture = (frame: TcpFrame): void => {
        harness.capture((last = frame))
      }
      if (connection === undefined || (action & 15) === 8) {
        const opened = new SimulatedConnection(connections.length + 1, 40_000 + (variation & 3), entry => {
          harness.report(entry)
        })
        connections.push(opened)
        if ((variation & 4) === 0) {
          capture(opened.segment('in', 0, NO_BYTES, SYN, ++number))
          capture(opened.segment('out', 0, NO_BYTES, SYN | ACK, ++number))
        }
        harness.report({
          kind: 'open',
          connection: opened.id,
          time: 0,
          transport,
          client: { address: '10.0.0.2', port: opened.port },
          broker: { address: '10.0.0.1', port: 1883 }
        })
      } else {
        const at = connection.sent[direction]
        switch (action & 15) {
          // The broker handles the bytes, and the tap captures them before, after, or not at all.
          case 0:
            connection.pass(direction, bytes)
            capture(connection.segment(direction, at, bytes, ACK, ++number))
            break
          case 1:
            capture(connection.segment(direction, at, bytes, ACK, ++number))
            connection.pass(direction, bytes)
            break
          case 2:
            connection.pass(direction, bytes)
            break
          case 3:
            if (last !== undefined) capture({ ...last, number: ++number })
            break
          // Forged segments: a different sequence number, payload or flag.
          case 4:
            capture(connection.segment(direction, at + variation * 0x0101_0101, bytes, ACK, ++number))
            break
          case 5:
            capture(connection.segment(direction, at - variation, bytes, ACK, ++number))
            break
          case 6:
            capture(connection.segment(direction, at, bytes, variation | ACK, ++number))
            break
          case 7:
            capture({
              ...connection.segment(direction, at, bytes, ACK, ++number),
              payload: bytes.subarray(0, variation)
            })
            break
          case 9:
            harness.report(
              (variation & 1) === 0
                ? { kind: 'close', connection: connection.id, time: 0 }
                : { kind: 'unplaced', connection: connection.id, reason: 'carrier' }
            )
            break
          case 10:
            if ((variation & 1) === 0) harness.join.tapDown()
            else harness.join.tapUp()
            break
          case 11:
            harness.isRingFull = !harness.isRingFull
            break
          case 12:
            harness.report({ kind: 'identity', connection: connection.id, clientId: `c${variation}`, username: '' })
            break
          default:
            harness.pass(variation * 30)
        }
      }
      harness.pass(0)
    }
    harness.pass(LIMITS.holdMs + 1)
    harness.pass(LIMITS.blindMs + 1)
    harness.pass(LIMITS.blindMs + 1)
    checkHarness(harness)
  }
}

function checkHarness({ records, frames, packetsReported, join }: JoinHarness): void {
  const seen = new Set<number>()
  let packets = 0
  for (const { frame, join: kind, features, packets: completed, initiated } of records) {
    if (frame !== null) {
      check(!seen.has(frame), 'a frame has two records')
      seen.add(frame)
    }
    packets += completed
    check(initiated <= completed, 'more packets are initiated than completed')
    check(kind !== 'none' || frame === null || features.mqtt_header === null, 'a record without a join has a packet')
    check(features.mqtt_header === null || completed > 0, 'a record has a packet but counts none')
  }
  const { framesFallback, framesJoined, framesUnjoined, packetsAlone } = join.counters
  check(
    records.filter(({ frame }) => frame !== null).length + framesFallback + join.held <= frames,
    'more frames are returned than captured'
  )
  check(packets <= packetsReported, 'a packet is counted twice')
  check(framesJoined + framesUnjoined <= frames && packetsAlone <= packetsReported, 'a counter exceeds its input')
}
