// The exact join: frames from the tap with control packets from the broker, by tuple and byte offset.

import type { Clock } from '../clock.js'
import { ContextTracker } from '../features/context.js'
import { extractFeatures } from '../features/extractor.js'
import type { BrokerEntry, OpenEntry, PacketEntry } from '../observe/entries.js'
import { timeOf, type TrafficRecord } from '../record.js'
import type { Direction, JoinKind, MqttPacket, StreamFrame, TcpStream } from '../types.js'
import { isWhole, StreamBindings, type Connection } from './bindings.js'
import { isInitiative } from './initiative.js'
import { isOwnPacket } from './own-traffic.js'
import { packetRecord } from './packet-record.js'
import { PacketQueue } from './packet-queue.js'

/** Bounds of what the join holds back; each overflow is counted. */
export interface JoinLimits {
  /** How long a frame waits for the broker to read it, and an accepted connection for its frames, ms. */
  holdMs: number
  /** How long a packet waits for its frame before its connection is given up as unseen by the tap, ms. */
  blindMs: number
  /** Frames held back in all. */
  pendingFrames: number
  /** Packets waiting for their frames, per connection. */
  packetsPerConnection: number
  /** Streams seen by the tap for which the broker has accepted no connection yet. */
  unboundStreams: number
}

/** Defaults that hold a busy broker's jitter and bound what an attacker can make us keep. */
export const DEFAULT_JOIN_LIMITS: JoinLimits = Object.freeze({
  holdMs: 1_000,
  blindMs: 5_000,
  pendingFrames: 20_000,
  packetsPerConnection: 10_000,
  unboundStreams: 4_096
})

const REVIEW_INTERVAL_MS = 250
/** With what a TLS record begins: its type and version (RFC 8446, section 5.1). */
const APPLICATION_DATA = [23, 3, 3]
const ALERT = [21, 3, 3]

/** What the status shows of the join. */
export interface JoinCounters {
  /** Frames that carry MQTT bytes and got the broker's word on them. */
  framesJoined: number
  /** Frames with MQTT bytes that were given up: unknown connection, or the broker did not tell in time. */
  framesUnjoined: number
  /** Frames that came when the broker had closed the connection: it never read them. */
  framesUnread: number
  /** Frames of connections that are judged by their packets instead. */
  framesSetAside: number
  /** Packets without a frame, scored as records of their own. */
  packetsAlone: number
  /** Packets whose frame had been given up before they came. */
  packetsLate: number
  /** Packets whose last byte the tap missed: they belong to a frame that was never captured. */
  packetsUnseen: number
  /** Connections that were thought joined and turned out not to match; they are judged by their packets. */
  mismatches: number
  /** Connections over TLS or WebSocket whose packets could not be placed in the stream; they are judged by their packets. */
  connectionsUnplaced: number
  /** Packet entries for connections nobody announced. */
  strays: number
}

interface PendingFrame {
  readonly streamFrame: StreamFrame
  readonly arrivedAtMs: number
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
  readonly counters: JoinCounters = {
    framesJoined: 0, framesUnjoined: 0, framesUnread: 0, framesSetAside: 0, packetsAlone: 0, packetsLate: 0, packetsUnseen: 0, mismatches: 0, connectionsUnplaced: 0, strays: 0
  }

  private readonly context = new ContextTracker()
  private readonly connections = new Map<number, Connection>()
  private readonly bindings: StreamBindings
  /** Streams that nobody accepted in time: their frames wait no more. */
  private readonly forsaken = new WeakSet<TcpStream>()
  private pending: PendingFrame[] = []
  private pendingHead = 0
  private tapped = false
  private reviewedAtMs = 0

  constructor (
    private readonly emit: (record: TrafficRecord) => void,
    private readonly clock: Clock,
    private readonly limits: JoinLimits = DEFAULT_JOIN_LIMITS
  ) {
    this.bindings = new StreamBindings(limits.unboundStreams)
  }

  /** Frames held back now. */
  get held (): number {
    return this.pending.length - this.pendingHead
  }

  /** What the context forgot for want of room. */
  get contextCounters (): ContextTracker['counters'] {
    return this.context.counters
  }

  /** Frames will come from now on. */
  tapUp (): void {
    this.tapped = true
  }

  /** No frames will come: what is held is settled, and packets are records from here on. */
  tapDown (): void {
    this.tapped = false
    while (this.held > 0) this.settle(this.shift().streamFrame)
    this.bindings.clear()
    for (const connection of this.connections.values()) {
      this.setAside(connection)
      // A tap that comes back meets it in mid-stream.
      if (!connection.closed) this.bindings.await(connection)
    }
  }

  /** Takes what the broker tells. */
  entry (entry: BrokerEntry): void {
    if (entry.kind === 'open') {
      this.open(entry)
      return
    }
    const connection = this.connections.get(entry.connection)
    if (connection === undefined) {
      this.counters.strays++
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
        this.packet(connection, entry)
        break
      case 'mark':
        connection[entry.direction].mark(entry)
        break
      case 'unplaced':
        this.counters.connectionsUnplaced++
        this.setAside(connection)
        break
      case 'close':
        this.close(connection)
        break
    }
  }

  /** Takes a frame from the tap. */
  frame (streamFrame: StreamFrame): void {
    this.pending.push({ streamFrame, arrivedAtMs: this.clock.now() })
    this.bind(streamFrame.stream)
    if (this.held > this.limits.pendingFrames) this.giveUp(this.shift().streamFrame)
  }

  /** Lets out every record that is final, and settles what has waited too long. Call after each batch of input. */
  release (): void {
    const now = this.clock.now()
    while (this.held > 0) {
      const { streamFrame, arrivedAtMs } = this.pending[this.pendingHead]
      if (this.isFinal(streamFrame)) this.settle(this.shift().streamFrame)
      else if (now - arrivedAtMs > this.limits.holdMs) this.giveUp(this.shift().streamFrame)
      else break
    }
    if (now - this.reviewedAtMs >= REVIEW_INTERVAL_MS) this.review(now)
  }

  /** Connections that the tap does not see after all are judged by their packets. */
  private review (now: number): void {
    this.reviewedAtMs = now
    for (const connection of this.connections.values()) {
      const unseen = connection.route === 'undecided' && now - connection.openedAtMs > this.limits.holdMs
      if (unseen || (connection.route === 'frames' && this.isBlind(connection, now))) this.setAside(connection)
      else this.reap(connection)
    }
  }

  private open ({ connection: id, transport, client, broker }: OpenEntry): void {
    const connection: Connection = {
      id,
      openedAtMs: this.clock.now(),
      route: this.tapped && transport !== 'stream' ? 'undecided' : 'packets',
      join: transport === 'tls' || transport === 'websocket' ? transport : 'exact',
      bound: false,
      closed: false,
      closedAtMs: 0,
      peer: { client, broker, connection: id, clientId: null, username: null },
      in: new PacketQueue(),
      out: new PacketQueue()
    }
    this.connections.set(id, connection)
    const stream = this.bindings.await(connection)
    if (stream !== undefined) this.bind(stream)
  }

  private bind (stream: TcpStream): void {
    const connection = this.bindings.bind(stream)
    if (connection === undefined) return
    if (connection.route === 'undecided') connection.route = 'frames'
    this.reap(connection)
  }

  private close (connection: Connection): void {
    connection.closed = true
    connection.closedAtMs = this.clock.now()
    this.reap(connection)
  }

  /** Forgets a closed connection once no frame of it can make a difference: the tap may lag behind the broker. */
  private reap (connection: Connection): void {
    const { closed, closedAtMs, route, bound, in: inbound, out } = connection
    if (!closed || route === 'undecided') return
    if (route === 'frames' && inbound.length + out.length > 0) return
    if (!bound && this.tapped && this.clock.now() - closedAtMs <= this.limits.holdMs) return
    this.connections.delete(connection.id)
    this.bindings.forget(connection)
  }

  private packet (connection: Connection, entry: PacketEntry): void {
    const { direction, time, packet } = entry
    if (connection.route === 'packets') {
      this.alone(connection, direction, time, packet)
      return
    }
    const queue = connection[direction]
    // Within a TLS record or a WebSocket frame all packets end at one offset, those dropped among them.
    queue.push(entry, connection.join === 'exact' ? packet.end - packet.size : packet.end, this.clock.now())
    if (queue.length > this.limits.packetsPerConnection) this.setAside(connection)
  }

  private isFinal ({ stream, direction, from, to }: StreamFrame): boolean {
    if (from === to) return true
    const connection = this.bindings.of(stream)
    if (connection === undefined) return !isWhole(stream) || this.forsaken.has(stream)
    const queue = connection[direction]
    return connection.route === 'packets' || connection.closed || queue.stalled || queue.watermark >= to
  }

  private settle (streamFrame: StreamFrame): void {
    const { stream, direction, from, to } = streamFrame
    const connection = this.bindings.of(stream)
    if (connection?.route === 'packets') {
      this.counters.framesSetAside++
      return
    }
    if (from === to) {
      this.record(streamFrame, connection?.join ?? 'none', [], null)
      return
    }
    if (connection === undefined || !stream.synced[direction]) {
      this.counters.framesUnjoined++
      this.record(streamFrame, 'none', [], null)
      return
    }
    const queue = connection[direction]
    const told = queue.watermark >= to
    const { packets: taken, late, whole } = queue.take(from, to)
    const packets = taken.filter(packet => !endsInGap(streamFrame, packet))
    this.counters.packetsLate += late
    this.counters.packetsUnseen += taken.length - packets.length
    if (packets.some(packet => contradicts(connection.join, streamFrame, packet))) {
      this.counters.mismatches++
      for (const packet of packets) this.alone(connection, direction, timeOf(streamFrame.frame) * 1_000, packet)
      this.setAside(connection)
      return
    }
    const joined = told && whole
    if (joined) this.counters.framesJoined++
    else if (connection.closed && queue.watermark <= from) this.counters.framesUnread++
    else this.counters.framesUnjoined++
    this.record(streamFrame, joined ? connection.join : 'none', packets, joined ? packets[0] ?? null : null)
    this.reap(connection)
  }

  private giveUp (streamFrame: StreamFrame): void {
    const { stream, direction, to } = streamFrame
    if (!this.isFinal(streamFrame)) {
      const connection = this.bindings.of(stream)
      if (connection === undefined) this.forsaken.add(stream)
      else connection[direction].stall(to)
    }
    this.settle(streamFrame)
  }

  /** From here on the connection's packets are its records, those already told among them. */
  private setAside (connection: Connection): void {
    connection.route = 'packets'
    const told = [
      ...connection.in.drain().map(waiting => ({ direction: 'in' as const, ...waiting })),
      ...connection.out.drain().map(waiting => ({ direction: 'out' as const, ...waiting }))
    ].sort((a, b) => a.timeMs - b.timeMs)
    for (const { direction, timeMs, packet } of told) this.alone(connection, direction, timeMs, packet)
    this.reap(connection)
  }

  private isBlind ({ in: inbound, out }: Connection, now: number): boolean {
    const oldest = Math.min(inbound.oldestArrivalMs, out.oldestArrivalMs)
    return now - oldest > this.limits.blindMs
  }

  private alone (connection: Connection, direction: Direction, timeMs: number, packet: MqttPacket): void {
    this.counters.packetsAlone++
    this.emit(packetRecord(connection, connection.peer, direction, timeMs, packet, this.context))
  }

  /**
   * @param packets those that the frame completes, as far as they are known
   * @param first the one that the record shows
   */
  private record (streamFrame: StreamFrame, join: JoinKind, packets: readonly MqttPacket[], first: MqttPacket | null): void {
    const { frame, stream, direction } = streamFrame
    const own = packets.length > 0 && packets.every(packet => isOwnPacket(direction, packet))
    const features = extractFeatures(streamFrame, first)
    this.emit({
      frame: frame.number,
      seconds: frame.seconds,
      nanoseconds: frame.nanoseconds,
      // Of packets that are not all known the context learns nothing, as the record shows none.
      features: own ? features : { ...features, context: this.context.frame(streamFrame, join, first === null ? [] : packets) },
      join,
      direction,
      peer: this.bindings.peerOf(stream),
      packets: packets.length,
      initiated: packets.filter(isInitiative).length,
      own
    })
  }

  private shift (): PendingFrame {
    const first = this.pending[this.pendingHead++]
    if (this.pendingHead > 1_024 && this.pendingHead * 2 > this.pending.length) {
      this.pending = this.pending.slice(this.pendingHead)
      this.pendingHead = 0
    }
    return first
  }
}

function endsInGap ({ chunks }: StreamFrame, { end }: MqttPacket): boolean {
  return chunks.some(({ start, length, lost }) => lost === true && end > start && end <= start + length)
}

/**
 * Whether the frame shows something else where the broker says a packet begins, or a TLS record ends. The
 * join is exact by construction; should a tuple ever be bound wrongly, or a record have gone by that the
 * broker could not count, this is what notices.
 */
function contradicts (join: JoinKind, streamFrame: StreamFrame, { end, size, header }: MqttPacket): boolean {
  if (join === 'exact') return shows(streamFrame, end - size, [header]) === false
  if (join !== 'tls') return false
  return shows(streamFrame, end, APPLICATION_DATA) === false && shows(streamFrame, end, ALERT) === false
}

/** Whether the bytes at an offset are these, as far as the frame has them; undefined where it has none. */
function shows ({ chunks }: StreamFrame, offset: number, expected: readonly number[]): boolean | undefined {
  for (const { start, length, bytes } of chunks) {
    if (offset < start || offset >= start + length || bytes === null) continue
    return expected.every((byte, i) => (bytes[offset - start + i] ?? byte) === byte)
  }
  return undefined
}
