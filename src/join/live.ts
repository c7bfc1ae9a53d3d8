// The exact join: frames from the tap with control packets from the broker, by tuple and byte offset.

import type { Clock } from '../clock.js'
import type { BrokerEntry, MarkEntry, OpenEntry, PacketEntry, UnplacedReason } from '../observe/entries.js'
import { timeOf, type TrafficRecord } from '../record.js'
import type { Direction, JoinKind, MqttPacket, PacketBegun, StreamFrame, TcpStream } from '../types.js'
import { isWhole, FlowTable, type Connection } from './flow-table.js'
import { contradicts, endsElsewhere } from './frame-check.js'
import { HeldFrames } from './held-frames.js'
import { JoinedRecords } from './joined-records.js'
import { DEFAULT_JOIN_LIMITS, noJoinCounts, type JoinLimits } from './limits.js'
import { SAME_CLOCK, type PauseAlignment, type AlignmentTiming } from './pause-alignment.js'
import { startPickup, updatePickup, joinedFrom, joinsFrames, shiftOf } from './mid-stream.js'
import { PacketQueue } from './packet-queue.js'

const REVIEW_INTERVAL_MS = 250

/** Why the frames of a connection carry nothing that the broker said. `unseen`: the tap does not see them. */
export type UnjoinedReason = UnplacedReason | 'unseen' | 'mismatch'

/** What comes out of the join. */
export interface JoinOutputs {
  onRecord(record: TrafficRecord): void
  /** A connection is judged by its packets from now on, although there is a tap. */
  onUnjoined?(reason: UnjoinedReason, connection: Connection): void
}

/**
 * Turns frames and broker entries into records, in the order of capture.
 *
 * A frame that moves the contiguous end of its stream from n to n' completes the packets that end in
 * (n, n']. It is final when the broker has told everything up to n', so no clock decides which packet
 * belongs to it. Only what the broker never reads is given up after `holdMs`, and from then on that
 * stream holds nothing back until the broker has caught up.
 */
export class LiveJoin {
  readonly counters = noJoinCounts()

  readonly #records: JoinedRecords
  readonly #connections = new Map<number, Connection>()
  readonly #bindings: FlowTable
  /** Streams that nobody accepted in time: their frames wait no more. */
  readonly #forsaken = new WeakSet<TcpStream>()
  readonly #pending = new HeldFrames()
  #timings = SAME_CLOCK
  #tapped = false
  #reviewedAtMs = 0
  readonly #outputs: JoinOutputs
  readonly #clock: Clock
  readonly #limits: JoinLimits

  constructor(outputs: JoinOutputs, clock: Clock, limits: JoinLimits = DEFAULT_JOIN_LIMITS) {
    this.#outputs = outputs
    this.#clock = clock
    this.#limits = limits
    this.#records = new JoinedRecords(record => {
      outputs.onRecord(record)
    })
    this.#bindings = new FlowTable(limits.unboundStreams, limits.holdMs)
  }

  /** Frames held back now. */
  get held(): number {
    return this.#pending.length
  }

  /** What the context forgot for want of room. */
  get contextCounters(): object {
    return this.#records.contextCounters
  }

  /** Frames will come from now on, stamped by a clock that agrees with the broker's so exactly as one of these asks. */
  tapUp(timings: readonly AlignmentTiming[] = SAME_CLOCK): void {
    this.#tapped = true
    this.#timings = timings
  }

  /** No frames will come: what is held is settled, and packets are records from here on. */
  tapDown(): void {
    this.#tapped = false
    while (this.held > 0) this.#settle(this.#pending.shift())
    this.#bindings.clear()
    for (const connection of this.#connections.values()) {
      this.#setAside(connection)
      // A tap that comes back meets it in mid-stream.
      if (!connection.closed) this.#bindings.await(connection)
    }
  }

  /** Takes what the broker tells. */
  entry(entry: BrokerEntry): void {
    if (entry.kind === 'open') {
      this.#open(entry)
      return
    }
    const connection = this.#connections.get(entry.connection)
    if (connection === undefined) {
      this.counters.packetsUnknown++
      return
    }
    switch (entry.kind) {
      case 'announced':
        connection.peer.announced = entry.client
        break
      case 'identity':
        connection.peer.clientId = entry.clientId
        connection.peer.username = entry.username
        break
      case 'packet':
        this.#packet(connection, entry)
        break
      case 'mark':
        this.#mark(connection, entry)
        break
      case 'unplaced':
        this.counters.connectionsUnplaced++
        connection.placed = false
        this.#giveUpJoin(connection, entry.reason)
        break
      case 'close':
        this.#close(connection)
        break
    }
  }

  /** Takes a frame from the tap. */
  frame(streamFrame: StreamFrame): void {
    const { stream, direction, frame, from, to, chunks } = streamFrame
    this.#pending.push(streamFrame, this.#clock.now())
    this.#bind(stream)
    if (to > from) {
      this.#find(
        this.#bindings.of(stream),
        direction,
        alignment => {
          // Where frames are lost, what was captured of a burst need not be all of it.
          if (chunks.some(({ lost }) => lost === true)) alignment.restart()
          alignment.see(timeOf(frame) * 1_000, to)
        },
        to
      )
    }
    if (this.held > this.#limits.pendingFrames) {
      this.counters.framesOverflowed++
      this.#giveUp(this.#pending.shift())
    }
  }

  /** Lets out every record that is final, and settles what has waited too long. Call after each batch of input. */
  release(): void {
    const now = this.#clock.now()
    for (let first = this.#pending.first; first !== undefined; first = this.#pending.first) {
      if (this.#isFinal(first.streamFrame)) this.#settle(this.#pending.shift())
      else if (now - first.arrivedAtMs > this.#limits.holdMs) this.#giveUp(this.#pending.shift())
      else break
    }
    if (now - this.#reviewedAtMs >= REVIEW_INTERVAL_MS) this.#review(now)
  }

  /** Connections that the tap does not see after all are judged by their packets. */
  #review(now: number): void {
    this.#reviewedAtMs = now
    this.counters.streamsForgotten = this.#bindings.forgotten
    for (const connection of this.#connections.values()) {
      if (connection.recordSource === 'undecided' && now - connection.openedAtMs > this.#limits.holdMs) {
        this.counters.connectionsUnseen++
        this.#giveUpJoin(connection, 'unseen')
        this.#bound(this.#bindings.bindWaiting(connection, now))
      } else if (!connection.closed && now - connection.supersededAtMs > this.#limits.holdMs) {
        // Its tuple opened another stream, and yet it is open: it never was the stream that it was bound to.
        this.#mismatch(connection)
      } else if (this.#isBlind(connection, now)) {
        this.counters.connectionsBlind++
        this.#giveUpJoin(connection, 'unseen')
      } else {
        this.#reap(connection)
      }
    }
  }

  #open({ connection: id, transport, client, broker }: OpenEntry): void {
    const connection: Connection = {
      id,
      openedAtMs: this.#clock.now(),
      recordSource: this.#tapped && transport !== 'stream' ? 'undecided' : 'packets',
      join: transport === 'tls' || transport === 'websocket' ? transport : 'exact',
      bound: false,
      placed: transport !== 'stream',
      ambiguous: false,
      pickup: undefined,
      closed: false,
      closedAtMs: 0,
      supersededAtMs: Infinity,
      peer: { client, broker, connection: id, clientId: null, username: null },
      in: new PacketQueue(),
      out: new PacketQueue()
    }
    this.#connections.set(id, connection)
    this.#bindings.await(connection)
    this.#bound(this.#bindings.bindWaiting(connection, this.#clock.now()))
  }

  #bind(stream: TcpStream): void {
    this.#bound(this.#bindings.bind(stream, this.#clock.now()))
    const connection = this.#bindings.of(stream)
    if (connection !== undefined) startPickup(connection, stream, this.#timings)
  }

  /**
   * One more thing is known that may tell where a connection's frames belong; `seen` as {@link updatePickup} takes it.
   */
  #find(
    connection: Connection | undefined,
    direction: Direction,
    take: (alignment: PauseAlignment) => void,
    seen?: number
  ): void {
    if (updatePickup(connection, direction, take, seen)) this.counters.midstreamFound++
  }

  #bound(connections: readonly Connection[]): void {
    for (const connection of connections) {
      if (connection.recordSource === 'undecided') connection.recordSource = 'frames'
      this.#reap(connection)
    }
  }

  #close(connection: Connection): void {
    connection.closed = true
    connection.closedAtMs = this.#clock.now()
    this.#bindings.release(connection)
    if (!connection.bound) this.#bound(this.#bindings.bindWaiting(connection, this.#clock.now()))
    this.#reap(connection)
  }

  /** Forgets a closed connection once no frame of it can make a difference: the tap may lag behind the broker. */
  #reap(connection: Connection): void {
    const { closed, closedAtMs, recordSource, bound, in: inbound, out } = connection
    if (!closed || recordSource === 'undecided' || inbound.length + out.length > 0) return
    if (!bound && this.#tapped && this.#clock.now() - closedAtMs <= this.#limits.holdMs) return
    this.#connections.delete(connection.id)
    this.#bindings.forget(connection)
  }

  #packet(connection: Connection, entry: PacketEntry): void {
    const { direction, time, packet, last } = entry
    const queue = connection[direction]
    if (!joinsFrames(connection, direction) || packet.end <= joinedFrom(connection, direction)) {
      const whole = queue.pass(entry)
      this.#alone(connection, direction, time, packet)
      this.#find(connection, direction, alignment => {
        if (!whole) alignment.restart()
        if (last) alignment.tell(time, packet.end)
      })
      return
    }
    // Within a TLS record or a WebSocket frame all packets end at one offset, those dropped among them.
    queue.push(entry, connection.join === 'exact' ? packet.end - packet.size : packet.end, this.#clock.now())
    if (queue.length <= this.#limits.packetsPerConnection) return
    this.counters.connectionsOverflowed++
    this.#giveUpJoin(connection, 'unseen')
  }

  #mark(connection: Connection, entry: MarkEntry): void {
    connection[entry.direction].mark(entry)
    this.#find(connection, entry.direction, alignment => {
      alignment.tell(entry.time, entry.offset)
    })
  }

  #isFinal({ stream, direction, from, to }: StreamFrame): boolean {
    if (from === to) return true
    const connection = this.#bindings.of(stream)
    if (connection === undefined) return !isWhole(stream) || this.#forsaken.has(stream)
    const queue = connection[direction]
    return (
      !joinsFrames(connection, direction) ||
      connection.closed ||
      queue.stalled ||
      queue.watermark >= to + shiftOf(connection, direction)
    )
  }

  #settle(streamFrame: StreamFrame): void {
    const { stream, direction } = streamFrame
    const connection = this.#bindings.of(stream)
    if (connection !== undefined && !joinsFrames(connection, direction)) {
      this.counters.framesFallback++
      return
    }
    if (streamFrame.from === streamFrame.to) {
      this.#bare(streamFrame, connection?.join ?? 'none')
      return
    }
    if (connection === undefined) {
      this.counters.framesUnjoined++
      this.#bare(streamFrame, 'none')
      return
    }
    this.#join(streamFrame, connection)
  }

  #join(streamFrame: StreamFrame, connection: Connection): void {
    const { direction } = streamFrame
    const shift = shiftOf(connection, direction)
    const [from, to] = [streamFrame.from + shift, streamFrame.to + shift]
    const queue = connection[direction]
    const told = queue.watermark >= to
    const { packets: taken, late, whole } = queue.take(from, to)
    const unseen = taken.filter(packet => endsElsewhere(streamFrame, packet, shift))
    const packets = unseen.length === 0 ? taken : taken.filter(packet => !unseen.includes(packet))
    this.counters.packetsLate += late.length
    this.counters.packetsUnseen += unseen.length
    const frameMs = timeOf(streamFrame.frame) * 1_000
    for (const packet of [...late, ...unseen]) this.#alone(connection, direction, frameMs, packet)
    if (from < joinedFrom(connection, direction)) {
      // It was on its way when the connection was found in mid-stream: some of its packets are records already.
      this.counters.framesFallback++
      for (const packet of packets) this.#alone(connection, direction, frameMs, packet)
      return
    }
    if (packets.some(packet => contradicts(connection.join, streamFrame, packet, shift))) {
      for (const packet of packets) this.#alone(connection, direction, frameMs, packet)
      this.#mismatch(connection)
      return
    }
    const joined = told && whole
    if (joined) this.counters.framesJoined++
    else if (connection.closed && queue.watermark <= from) this.counters.framesAfterClose++
    else this.counters.framesUnjoined++
    // What follows the last packet is a part of the next one, which is told where it was written at once.
    const begun = joined && taken.at(-1)?.end !== to ? begunOf(queue.first) : null
    const peer = this.#bindings.peerOf(streamFrame.stream)
    this.#records.frame(streamFrame, {
      join: joined ? connection.join : 'none',
      peer,
      packets,
      first: joined ? (packets[0] ?? null) : null,
      begun
    })
    this.#reap(connection)
  }

  #giveUp(streamFrame: StreamFrame): void {
    const { stream, direction, to } = streamFrame
    if (!this.#isFinal(streamFrame)) {
      const connection = this.#bindings.of(stream)
      if (connection === undefined) this.#forsaken.add(stream)
      else connection[direction].stall(to + shiftOf(connection, direction))
    }
    this.#settle(streamFrame)
  }

  #mismatch(connection: Connection): void {
    this.counters.mismatches++
    connection.placed = false
    connection.supersededAtMs = Infinity
    this.#giveUpJoin(connection, 'mismatch')
  }

  #giveUpJoin(connection: Connection, reason: UnjoinedReason): void {
    this.#outputs.onUnjoined?.(reason, connection)
    this.#setAside(connection)
  }

  /** From here on the connection's packets are its records, those already told among them. */
  #setAside(connection: Connection): void {
    connection.recordSource = 'packets'
    connection.pickup = undefined
    const told = [
      ...connection.in.drain().map(waiting => ({ direction: 'in' as const, ...waiting })),
      ...connection.out.drain().map(waiting => ({ direction: 'out' as const, ...waiting }))
    ].sort((a, b) => a.timeMs - b.timeMs)
    for (const { direction, timeMs, packet } of told) this.#alone(connection, direction, timeMs, packet)
    this.#reap(connection)
  }

  #isBlind({ in: inbound, out }: Connection, now: number): boolean {
    const oldest = Math.min(inbound.oldestArrivalMs, out.oldestArrivalMs)
    return now - oldest > this.#limits.blindMs
  }

  #alone(connection: Connection, direction: Direction, timeMs: number, packet: MqttPacket): void {
    this.counters.packetsAlone++
    this.#records.packet(connection, direction, timeMs, packet)
  }

  /** A frame that nothing is known of. */
  #bare(streamFrame: StreamFrame, join: JoinKind): void {
    this.#records.frame(streamFrame, {
      join,
      peer: this.#bindings.peerOf(streamFrame.stream),
      packets: [],
      first: null,
      begun: null
    })
  }
}

/** What a frame that carries only a part of a packet shows of it. */
function begunOf(packet: MqttPacket | null): PacketBegun | null {
  return packet === null
    ? null
    : {
        header: packet.header,
        topic: packet.topic,
        payloadLength: packet.payload === null ? null : packet.payloadLength
      }
}
