// The exact join: matches the tap's frames to the broker's control packets by tuple and byte offset.

import type { Clock } from '../clock.js'
import type { BrokerEntry, MarkEntry, OpenEntry, PacketEntry, UnplacedReason } from '../observe/entries.js'
import { Queue } from '../queue.js'
import { timeOf, type TrafficRecord } from '../record.js'
import type { Direction, JoinKind, MqttPacket, PartialPacket, StreamFrame, TcpStream } from '../types.js'
import type { Connection } from './connection.js'
import { hasHandshake, FlowTable } from './flow-table.js'
import { contradicts, endsInOtherFrame } from './frame-check.js'
import { JoinedRecords } from './joined-records.js'
import { DEFAULT_JOIN_LIMITS, newJoinCounters, type JoinLimits } from './limits.js'
import { SAME_CLOCK, type PauseAlignment, type AlignmentTiming } from './pause-alignment.js'
import { startPickup, updatePickup, joinedFrom, joinsFrames, shiftOf } from './mid-stream.js'
import { PacketQueue } from './packet-queue.js'

const REVIEW_INTERVAL_MS = 250

/** Why a connection is not joined. `unseen`: the tap does not capture its frames. */
export type UnjoinedReason = UnplacedReason | 'unseen' | 'mismatch'

/** A frame that waits for broker entries, and its arrival time by this thread's clock. */
interface HeldFrame {
  readonly streamFrame: StreamFrame
  readonly arrivedAtMs: number
}

/** Receives the output of the join. */
export interface JoinOutputs {
  onRecord(record: TrafficRecord): void
  /** A connection falls back to packets although there is a tap. */
  onUnjoined?(reason: UnjoinedReason, connection: Connection): void
}

/**
 * Turns frames and broker entries into records, in capture order.
 *
 * A frame that moves the contiguous end of its stream from n to n' completes the packets that end in (n, n']. It is
 * final when the broker has reported everything up to n', so no clock decides which packet belongs to it. Only bytes
 * that the broker never reads are given up, after `holdMs`. That stream then holds no frames until the broker has
 * caught up.
 */
export class LiveJoin {
  readonly counters = newJoinCounters()

  readonly #records: JoinedRecords
  readonly #connections = new Map<number, Connection>()
  readonly #flows: FlowTable
  /** Flows that the broker did not accept in time. Their frames no longer wait. */
  readonly #unaccepted = new WeakSet<TcpStream>()
  /** In capture order. */
  readonly #pending = new Queue<HeldFrame>()
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
    this.#flows = new FlowTable(limits.unboundStreams, limits.holdMs)
  }

  /** Connections tracked, and those that wait for their flow or the other way round. */
  get sizes(): { connections: number; waitingConnections: number; waitingFlows: number } {
    return { connections: this.#connections.size, ...this.#flows.sizes }
  }

  /** Frames held now. */
  get held(): number {
    return this.#pending.length
  }

  /** Context entries dropped because a table was full. */
  get contextCounters(): object {
    return this.#records.contextCounters
  }

  /** Starts the join of frames. `timings`: how closely the clocks of tap and broker agree. */
  tapUp(timings: readonly AlignmentTiming[] = SAME_CLOCK): void {
    this.#tapped = true
    this.#timings = timings
  }

  /** Stops the join of frames: settles the held frames and falls back to packets. */
  tapDown(): void {
    this.#tapped = false
    while (this.held > 0) this.#settle(this.#pending.shift().streamFrame)
    this.#flows.clear()
    for (const connection of this.#connections.values()) {
      this.#usePackets(connection)
      // A tap that reconnects picks the connection up mid-stream.
      if (!connection.closed) this.#flows.add(connection)
    }
  }

  /** Processes an entry of the broker. */
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
        this.#fallBack(connection, entry.reason)
        break
      case 'close':
        this.#close(connection)
        break
    }
  }

  /** Processes a frame of the tap. */
  frame(streamFrame: StreamFrame): void {
    const { stream, direction, frame, from, to, chunks } = streamFrame
    this.#pending.push({ streamFrame, arrivedAtMs: this.#clock.now() })
    this.#bind(stream)
    if (to > from) {
      this.#updatePickup(
        this.#flows.of(stream),
        direction,
        alignment => {
          // If frames were lost, the tap may have missed part of a burst.
          if (chunks.some(({ lost }) => lost === true)) alignment.reset()
          alignment.addTap(timeOf(frame) * 1_000, to)
        },
        to
      )
    }
    if (this.held > this.#limits.pendingFrames) {
      this.counters.framesOverflowed++
      this.#giveUpFrame(this.#pending.shift().streamFrame)
    }
  }

  /** Emits all final records and gives up frames that waited too long. Call it after each batch of input. */
  release(): void {
    const now = this.#clock.now()
    for (let first = this.#pending.first; first !== undefined; first = this.#pending.first) {
      if (this.#isFinal(first.streamFrame)) this.#settle(this.#pending.shift().streamFrame)
      else if (now - first.arrivedAtMs > this.#limits.holdMs) this.#giveUpFrame(this.#pending.shift().streamFrame)
      else break
    }
    if (now - this.#reviewedAtMs >= REVIEW_INTERVAL_MS) this.#review(now)
  }

  /** Makes connections fall back to packets if the tap does not capture them. */
  #review(now: number): void {
    this.#reviewedAtMs = now
    this.counters.streamsForgotten = this.#flows.forgotten
    for (const connection of this.#connections.values()) {
      if (connection.recordSource === 'undecided' && now - connection.openedAtMs > this.#limits.holdMs) {
        this.counters.connectionsUnseen++
        this.#fallBack(connection, 'unseen')
        this.#onBound(this.#flows.bindWaiting(connection, now))
      } else if (!connection.closed && now - connection.supersededAtMs > this.#limits.holdMs) {
        // Another flow with its tuple has started, but the connection is still open: it was bound to the wrong flow.
        this.#mismatch(connection)
      } else if (this.#isBlind(connection, now)) {
        this.counters.connectionsBlind++
        this.#fallBack(connection, 'unseen')
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
    this.#flows.add(connection)
    this.#onBound(this.#flows.bindWaiting(connection, this.#clock.now()))
  }

  #bind(stream: TcpStream): void {
    this.#onBound(this.#flows.bind(stream, this.#clock.now()))
    const connection = this.#flows.of(stream)
    if (connection !== undefined) startPickup(connection, stream, this.#timings)
  }

  /** Updates the mid-stream pickup of a connection. `captured`: see {@link updatePickup}. */
  #updatePickup(
    connection: Connection | undefined,
    direction: Direction,
    take: (alignment: PauseAlignment) => void,
    captured?: number
  ): void {
    if (updatePickup(connection, direction, take, captured)) this.counters.midstreamFound++
  }

  #onBound(connections: readonly Connection[]): void {
    for (const connection of connections) {
      if (connection.recordSource === 'undecided') connection.recordSource = 'frames'
      this.#reap(connection)
    }
  }

  #close(connection: Connection): void {
    connection.closed = true
    connection.closedAtMs = this.#clock.now()
    this.#flows.release(connection)
    if (!connection.bound) this.#onBound(this.#flows.bindWaiting(connection, this.#clock.now()))
    this.#reap(connection)
  }

  /** Removes a closed connection when no further frames can belong to it. The tap may lag behind the broker. */
  #reap(connection: Connection): void {
    const { closed, closedAtMs, recordSource, bound, in: inbound, out } = connection
    if (!closed || recordSource === 'undecided' || inbound.length + out.length > 0) return
    if (!bound && this.#tapped && this.#clock.now() - closedAtMs <= this.#limits.holdMs) return
    this.#connections.delete(connection.id)
    this.#flows.remove(connection)
  }

  #packet(connection: Connection, entry: PacketEntry): void {
    const { direction, time, packet, last } = entry
    const queue = connection[direction]
    if (!joinsFrames(connection, direction) || packet.end <= joinedFrom(connection, direction)) {
      const complete = queue.pass(entry)
      this.#emitPacket(connection, direction, time, packet)
      this.#updatePickup(connection, direction, alignment => {
        if (!complete) alignment.reset()
        if (last) alignment.addBroker(time, packet.end)
      })
      return
    }
    // In a TLS record or WebSocket frame all packets end at the same offset, including dropped ones.
    queue.push(entry, connection.join === 'exact' ? packet.end - packet.size : packet.end, this.#clock.now())
    if (queue.length <= this.#limits.packetsPerConnection) return
    this.counters.connectionsOverflowed++
    this.#fallBack(connection, 'unseen')
  }

  #mark(connection: Connection, entry: MarkEntry): void {
    connection[entry.direction].mark(entry)
    this.#updatePickup(connection, entry.direction, alignment => {
      alignment.addBroker(entry.time, entry.offset)
    })
  }

  #isFinal({ stream, direction, from, to }: StreamFrame): boolean {
    if (from === to) return true
    const connection = this.#flows.of(stream)
    if (connection === undefined) return !hasHandshake(stream) || this.#unaccepted.has(stream)
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
    const connection = this.#flows.of(stream)
    if (connection !== undefined && !joinsFrames(connection, direction)) {
      this.counters.framesFallback++
      return
    }
    if (streamFrame.from === streamFrame.to) {
      this.#emitFrame(streamFrame, connection?.join ?? 'none')
      return
    }
    if (connection === undefined) {
      this.counters.framesUnjoined++
      this.#emitFrame(streamFrame, 'none')
      return
    }
    this.#join(streamFrame, connection)
  }

  #join(streamFrame: StreamFrame, connection: Connection): void {
    const { direction } = streamFrame
    const shift = shiftOf(connection, direction)
    const [from, to] = [streamFrame.from + shift, streamFrame.to + shift]
    const queue = connection[direction]
    const isKnown = queue.watermark >= to
    const { packets: taken, late, complete } = queue.take(from, to)
    const unseen = taken.filter(packet => endsInOtherFrame(streamFrame, packet, shift))
    const packets = unseen.length === 0 ? taken : taken.filter(packet => !unseen.includes(packet))
    this.counters.packetsLate += late.length
    this.counters.packetsUnseen += unseen.length
    const frameMs = timeOf(streamFrame.frame) * 1_000
    for (const packet of [...late, ...unseen]) this.#emitPacket(connection, direction, frameMs, packet)
    if (from < joinedFrom(connection, direction)) {
      // The frame was in transit when the pickup completed: some of its packets are records already.
      this.counters.framesFallback++
      for (const packet of packets) this.#emitPacket(connection, direction, frameMs, packet)
      return
    }
    if (packets.some(packet => contradicts(connection.join, streamFrame, packet, shift))) {
      for (const packet of packets) this.#emitPacket(connection, direction, frameMs, packet)
      this.#mismatch(connection)
      return
    }
    const joined = isKnown && complete
    if (joined) this.counters.framesJoined++
    else if (connection.closed && queue.watermark <= from) this.counters.framesAfterClose++
    else this.counters.framesUnjoined++
    // Bytes after the last packet are part of the next one. It is known if the broker wrote it in one go.
    const partial = joined && taken.at(-1)?.end !== to ? partialOf(queue.first) : null
    const peer = this.#flows.peerOf(streamFrame.stream)
    this.#records.frame(streamFrame, {
      join: joined ? connection.join : 'none',
      peer,
      packets,
      first: joined ? (packets[0] ?? null) : null,
      partial
    })
    this.#reap(connection)
  }

  #giveUpFrame(streamFrame: StreamFrame): void {
    const { stream, direction, to } = streamFrame
    if (!this.#isFinal(streamFrame)) {
      const connection = this.#flows.of(stream)
      if (connection === undefined) this.#unaccepted.add(stream)
      else connection[direction].stall(to + shiftOf(connection, direction))
    }
    this.#settle(streamFrame)
  }

  #mismatch(connection: Connection): void {
    this.counters.mismatches++
    connection.placed = false
    connection.supersededAtMs = Infinity
    this.#fallBack(connection, 'mismatch')
  }

  #fallBack(connection: Connection, reason: UnjoinedReason): void {
    this.#outputs.onUnjoined?.(reason, connection)
    this.#usePackets(connection)
  }

  /** Makes the connection fall back to packets, starting with those that are waiting. */
  #usePackets(connection: Connection): void {
    connection.recordSource = 'packets'
    connection.pickup = undefined
    const packets = [
      ...connection.in.drain().map(waiting => ({ direction: 'in' as const, ...waiting })),
      ...connection.out.drain().map(waiting => ({ direction: 'out' as const, ...waiting }))
    ].sort((a, b) => a.timeMs - b.timeMs)
    for (const { direction, timeMs, packet } of packets) this.#emitPacket(connection, direction, timeMs, packet)
    this.#reap(connection)
  }

  #isBlind({ in: inbound, out }: Connection, now: number): boolean {
    const oldest = Math.min(inbound.oldestArrivalMs, out.oldestArrivalMs)
    return now - oldest > this.#limits.blindMs
  }

  #emitPacket(connection: Connection, direction: Direction, timeMs: number, packet: MqttPacket): void {
    this.counters.packetsAlone++
    this.#records.packet(connection, direction, timeMs, packet)
  }

  /** Emits the record of a frame without known packets. */
  #emitFrame(streamFrame: StreamFrame, join: JoinKind): void {
    this.#records.frame(streamFrame, {
      join,
      peer: this.#flows.peerOf(streamFrame.stream),
      packets: [],
      first: null,
      partial: null
    })
  }
}

/** Returns the known fields of an incomplete packet. */
function partialOf(packet: MqttPacket | null): PartialPacket | null {
  return packet === null
    ? null
    : {
        header: packet.header,
        topic: packet.topic,
        payloadLength: packet.payload === null ? null : packet.payloadLength
      }
}
