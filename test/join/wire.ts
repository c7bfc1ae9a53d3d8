// Both views of a connection for tests of the join: the frames of the tap and the entries of the broker.

import { Duplex } from 'node:stream'
import { TcpStreams } from '../../src/decode/tcp-streams.js'
import { DEFAULT_JOIN_LIMITS, type JoinLimits } from '../../src/join/limits.js'
import { LiveJoin, type UnjoinedReason } from '../../src/join/live.js'
import { watchConnection } from '../../src/observe/connection.js'
import type { BrokerEntry, MarkEntry, PacketEntry, Transport } from '../../src/observe/entries.js'
import type { TrafficRecord } from '../../src/record.js'
import type { Direction, StreamFrame } from '../../src/types.js'
import { ACK, BROKER, CLIENT, FIN, PORTS, PSH, SYN, tcpFrame, type Segment } from '../decode/craft.js'
import { TestClock } from '../support/test-clock.js'

const NOTHING = new Uint8Array(0)

/** The tap: numbers frames, 1 ms apart, and adds them to their flows. */
export class TestTap {
  readonly streams = new TcpStreams(PORTS)
  #frames = 0

  /** Epoch seconds of the latest frame. */
  constructor(public time = 1_700_000_000) {}

  capture(segment: Segment): StreamFrame {
    this.time += 0.001
    return this.streams.push(tcpFrame(segment, ++this.#frames, this.time))
  }
}

/** The segments of one TCP connection. Only the handshake is acknowledged, so no gap is ever given up. */
export class Link {
  readonly sent = { in: 0, out: 0 }
  readonly #first: { in: number; out: number }

  constructor(
    readonly port = 40_000,
    first = { in: 0xffff_ff00, out: 5_000 }
  ) {
    this.#first = first
  }

  /** Returns a segment whose payload starts `start` bytes into its direction. */
  segment(direction: Direction, start: number, payload: Uint8Array = NOTHING, flags = ACK | PSH): Segment {
    const isIn = direction === 'in'
    return {
      source: isIn ? CLIENT : BROKER,
      destination: isIn ? BROKER : CLIENT,
      sourcePort: isIn ? this.port : 1883,
      destinationPort: isIn ? 1883 : this.port,
      sequence: (this.#first[direction] + ((flags & SYN) === 0 ? 1 : 0) + start) >>> 0,
      acknowledgement: (flags & ACK) === 0 ? 0 : (this.#first[isIn ? 'out' : 'in'] + 1) >>> 0,
      flags,
      payload
    }
  }

  /** SYN, SYN-ACK, ACK. */
  handshake(): Segment[] {
    return [
      this.segment('in', 0, NOTHING, SYN),
      this.segment('out', 0, NOTHING, SYN | ACK),
      this.segment('in', 0, NOTHING, ACK)
    ]
  }

  /** Returns a segment with the next bytes of a direction. */
  next(direction: Direction, payload: Uint8Array): Segment {
    const segment = this.segment(direction, this.sent[direction], payload)
    this.sent[direction] += payload.length
    return segment
  }

  fin(direction: Direction): Segment {
    return this.segment(direction, this.sent[direction], NOTHING, FIN | ACK)
  }
}

class Bare extends Duplex {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: unknown, callback: () => void): void {
    callback()
  }
}

/** The broker's side of one connection: its entries for the data that passes. */
export class TestConnection {
  readonly #stream = new Bare()
  #entries: (PacketEntry | MarkEntry)[] = []
  readonly #clock: TestClock

  constructor(
    readonly id: number,
    readonly port = 40_000,
    clock = new TestClock()
  ) {
    this.#clock = clock
    watchConnection(
      this.#stream,
      { topicCapBytes: 256, payloadCapBytes: 1_024 },
      {
        onPacket: (direction, packet, ordinal) => {
          const { topic, payload } = packet
          // Entries have copies, as in the ring.
          const copy = {
            ...packet,
            topic: topic && Uint8Array.from(topic),
            payload: payload && Uint8Array.from(payload)
          }
          this.#entries.push({
            kind: 'packet',
            connection: id,
            direction,
            time: this.#clock.now(),
            packet: copy,
            ordinal,
            last: true
          })
        },
        onMark: (direction, begin, offset, ordinal) => {
          this.#entries.push({
            kind: 'mark',
            connection: id,
            direction,
            time: this.#clock.now(),
            begin,
            offset,
            ordinal
          })
        }
      }
    )
    this.#stream.resume()
  }

  open(transport: Transport = 'tcp'): BrokerEntry {
    return {
      kind: 'open',
      connection: this.id,
      time: this.#clock.now(),
      transport,
      client: { address: CLIENT, port: this.port },
      broker: { address: BROKER, port: 1883 }
    }
  }

  identity(clientId: string, username = ''): BrokerEntry {
    return { kind: 'identity', connection: this.id, clientId, username }
  }

  /** Reads or writes a chunk at the broker and returns its entries. */
  pass(direction: Direction, bytes: Uint8Array): (PacketEntry | MarkEntry)[] {
    if (direction === 'in') this.#stream.push(bytes)
    else this.#stream.write(bytes)
    return this.#entries.splice(0)
  }

  unplaced(): BrokerEntry {
    return { kind: 'unplaced', connection: this.id, reason: 'carrier' }
  }

  close(): BrokerEntry {
    return { kind: 'close', connection: this.id, time: this.#clock.now() }
  }
}

/** A join under test, its clock and its output. */
export class TestJoin {
  readonly clock = new TestClock()
  readonly records: TrafficRecord[] = []
  /** Why connections were not joined. */
  readonly reasons: UnjoinedReason[] = []
  readonly join: LiveJoin
  tap = new TestTap()

  constructor(limits?: JoinLimits) {
    this.join = new LiveJoin(
      {
        onRecord: record => {
          this.records.push(record)
        },
        onUnjoined: reason => {
          this.reasons.push(reason)
        }
      },
      this.clock,
      limits
    )
  }

  report(...entries: BrokerEntry[]): void {
    for (const entry of entries) this.join.entry(entry)
    this.join.release()
  }

  capture(...segments: Segment[]): void {
    for (const segment of segments) this.join.frame(this.tap.capture(segment))
    this.join.release()
  }

  pass(milliseconds: number): void {
    this.clock.advance(milliseconds)
    this.join.release()
  }

  /**
   * Returns the records since the last call as text: frame or packet, direction, join kind, header, number of packets.
   */
  take(): string[] {
    return this.records.splice(0).map(({ frame, join, direction, features, packets }) => {
      const kind =
        frame === null ? 'packet' : features.tcp_syn_flag === 1 ? 'syn' : features.tcp_len === 0 ? 'empty' : 'frame'
      return (
        `${kind} ${direction} ${join}` +
        (features.mqtt_header === null ? '' : ` ${features.mqtt_header.toString(16)} of ${packets}`)
      )
    })
  }
}

/** Creates a join whose tap is up. */
export function tapped(limits: Partial<JoinLimits> = {}): TestJoin {
  const test = new TestJoin({ ...DEFAULT_JOIN_LIMITS, ...limits })
  test.join.tapUp()
  return test
}

/** Creates a connection whose handshake both tap and broker have seen. */
export function established(test: TestJoin, id = 1, port = 40_000): { link: Link; connection: TestConnection } {
  const link = new Link(port)
  const connection = new TestConnection(id, port, test.clock)
  test.report(connection.open())
  test.capture(...link.handshake())
  test.take()
  return { link, connection }
}

/** The number of connections, of tuples with waiting connections, and of tuples with waiting flows. */
export function sizes(join: LiveJoin): string {
  const { connections, waitingConnections, waitingFlows } = join.sizes
  return `${connections} ${waitingConnections} ${waitingFlows}`
}
