// The exact join: frames from the tap with control packets from the broker, by tuple and byte offset.

import type { Clock } from '../clock.js'
import { extractFeatures } from '../features/extractor.js'
import type { BrokerEntry, OpenEntry, PacketEntry } from '../observe/entries.js'
import { timeOf, type Peer, type TrafficRecord } from '../record.js'
import type { Direction, MqttPacket, StreamFrame, TcpStream } from '../types.js'
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

/** What the status shows of the join. */
export interface JoinCounters {
  /** Frames that carry MQTT bytes and got the broker's word on them. */
  framesJoined: number
  /** Frames with MQTT bytes that were given up: unknown connection, or bytes that the broker never read. */
  framesUnjoined: number
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
  /** Packet entries for connections nobody announced. */
  strays: number
}

/**
 * `undecided`: accepted, its SYN not yet seen. `frames`: its frames are records. `packets`: its packets
 * are, because there is no tap, the tap cannot see inside or came too late for the SYN.
 */
type Route = 'undecided' | 'frames' | 'packets'

interface Connection {
  readonly id: number
  readonly openedAtMs: number
  route: Route
  closed: boolean
  peer: Peer
  readonly in: PacketQueue
  readonly out: PacketQueue
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
    framesJoined: 0, framesUnjoined: 0, framesSetAside: 0, packetsAlone: 0, packetsLate: 0, packetsUnseen: 0, mismatches: 0, strays: 0
  }

  private readonly connections = new Map<number, Connection>()
  private readonly unboundConnections = new Map<string, Connection[]>()
  private readonly unboundStreams = new Map<string, TcpStream>()
  private readonly bindings = new WeakMap<TcpStream, Connection>()
  private readonly peers = new WeakMap<TcpStream, Peer>()
  private pending: PendingFrame[] = []
  private pendingHead = 0
  private tapped = false
  private reviewedAtMs = 0

  constructor (
    private readonly emit: (record: TrafficRecord) => void,
    private readonly clock: Clock,
    private readonly limits: JoinLimits = DEFAULT_JOIN_LIMITS
  ) {}

  /** Frames held back now. */
  get held (): number {
    return this.pending.length - this.pendingHead
  }

  /** Frames will come from now on. */
  tapUp (): void {
    this.tapped = true
  }

  /** No frames will come: what is held is settled, and packets are records from here on. */
  tapDown (): void {
    this.tapped = false
    while (this.held > 0) this.settle(this.shift().streamFrame)
    for (const connection of this.connections.values()) this.setAside(connection)
    this.unboundConnections.clear()
    this.unboundStreams.clear()
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
      case 'identity':
        connection.peer.clientId = entry.clientId
        connection.peer.username = entry.username
        break
      case 'packet':
        this.packet(connection, entry)
        break
      case 'mark':
        connection[entry.direction].mark(entry.offset)
        break
      case 'close':
        this.close(connection)
        break
    }
  }

  /** Takes a frame from the tap. */
  frame (streamFrame: StreamFrame): void {
    this.pending.push({ streamFrame, arrivedAtMs: this.clock.now() })
    this.bindStream(streamFrame.stream)
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
    }
  }

  private open ({ connection: id, transport, client, broker }: OpenEntry): void {
    const connection: Connection = {
      id,
      openedAtMs: this.clock.now(),
      route: this.tapped && transport === 'tcp' ? 'undecided' : 'packets',
      closed: false,
      peer: { client, broker, connection: id, clientId: null, username: null },
      in: new PacketQueue(),
      out: new PacketQueue()
    }
    this.connections.set(id, connection)
    if (connection.route === 'packets') return
    const key = tupleKey(connection.peer)
    const waiting = this.unboundConnections.get(key)
    if (waiting === undefined) this.unboundConnections.set(key, [connection])
    else waiting.push(connection)
    const stream = this.unboundStreams.get(key)
    if (stream !== undefined) this.bindStream(stream)
  }

  private close (connection: Connection): void {
    connection.closed = true
    if (connection.route !== 'undecided') this.connections.delete(connection.id)
  }

  private packet (connection: Connection, { direction, time, packet }: PacketEntry): void {
    if (connection.route === 'packets') {
      this.alone(connection, direction, time, packet)
      return
    }
    const queue = connection[direction]
    queue.push(packet, time, this.clock.now())
    if (queue.length > this.limits.packetsPerConnection) this.setAside(connection)
  }

  /** Finds the connection of a stream, once both are known: the oldest accepted one that has no stream yet. */
  private bindStream (stream: TcpStream): void {
    if (this.bindings.has(stream) || !stream.synced.in) return
    const key = tupleKey(stream)
    const connection = this.unboundConnections.get(key)?.shift()
    if (connection === undefined) {
      this.rememberUnbound(key, stream)
      return
    }
    if (this.unboundConnections.get(key)?.length === 0) this.unboundConnections.delete(key)
    this.unboundStreams.delete(key)
    const known = this.peers.get(stream)
    if (known !== undefined) connection.peer = Object.assign(known, connection.peer)
    this.peers.set(stream, connection.peer)
    this.bindings.set(stream, connection)
    connection.route = 'frames'
    if (connection.closed) this.connections.delete(connection.id)
  }

  /** A SYN that nobody answers leaves a stream without a connection: only the latest of them are kept. */
  private rememberUnbound (key: string, stream: TcpStream): void {
    this.unboundStreams.set(key, stream)
    if (this.unboundStreams.size > this.limits.unboundStreams) {
      const [oldest] = this.unboundStreams.keys()
      this.unboundStreams.delete(oldest)
    }
  }

  private isFinal ({ stream, direction, from, to }: StreamFrame): boolean {
    if (from === to) return true
    const connection = this.bindings.get(stream)
    if (connection === undefined) return false
    const queue = connection[direction]
    return connection.route === 'packets' || connection.closed || queue.stalled || queue.watermark >= to
  }

  private settle (streamFrame: StreamFrame): void {
    const { stream, direction, from, to } = streamFrame
    const connection = this.bindings.get(stream)
    if (connection?.route === 'packets') {
      this.counters.framesSetAside++
      return
    }
    if (from === to) {
      this.record(streamFrame, null, 0, connection === undefined ? 'none' : 'exact', false)
      return
    }
    if (connection === undefined || !stream.synced[direction]) {
      this.counters.framesUnjoined++
      this.record(streamFrame, null, 0, 'none', false)
      return
    }
    const queue = connection[direction]
    const told = queue.watermark >= to || connection.closed
    const { packets: taken, late, whole } = queue.take(from, to)
    const packets = taken.filter(packet => !endsInGap(streamFrame, packet))
    this.counters.packetsLate += late
    this.counters.packetsUnseen += taken.length - packets.length
    if (packets.some(packet => contradicts(streamFrame, packet))) {
      this.counters.mismatches++
      this.setAside(connection)
      for (const packet of packets) this.alone(connection, direction, timeOf(streamFrame.frame) * 1_000, packet)
      return
    }
    const joined = told && whole
    if (joined) this.counters.framesJoined++
    else this.counters.framesUnjoined++
    const own = packets.length > 0 && packets.every(packet => isOwnPacket(direction, packet))
    this.record(streamFrame, joined ? packets[0] ?? null : null, packets.length, joined ? 'exact' : 'none', own)
  }

  private giveUp (streamFrame: StreamFrame): void {
    const queue = this.bindings.get(streamFrame.stream)?.[streamFrame.direction]
    queue?.stall(streamFrame.to)
    this.settle(streamFrame)
  }

  /** From here on the connection's packets are its records, those already told among them. */
  private setAside (connection: Connection): void {
    connection.route = 'packets'
    this.forgetUnbound(connection)
    const told = [
      ...connection.in.drain().map(waiting => ({ direction: 'in' as const, ...waiting })),
      ...connection.out.drain().map(waiting => ({ direction: 'out' as const, ...waiting }))
    ].sort((a, b) => a.timeMs - b.timeMs)
    for (const { direction, timeMs, packet } of told) this.alone(connection, direction, timeMs, packet)
    if (connection.closed) this.connections.delete(connection.id)
  }

  private forgetUnbound (connection: Connection): void {
    const key = tupleKey(connection.peer)
    const left = this.unboundConnections.get(key)?.filter(other => other !== connection) ?? []
    if (left.length > 0) this.unboundConnections.set(key, left)
    else this.unboundConnections.delete(key)
  }

  private isBlind ({ in: inbound, out }: Connection, now: number): boolean {
    const oldest = Math.min(inbound.oldestArrivalMs, out.oldestArrivalMs)
    return now - oldest > this.limits.blindMs
  }

  private alone (connection: Connection, direction: Direction, timeMs: number, packet: MqttPacket): void {
    this.counters.packetsAlone++
    this.emit(packetRecord(connection.peer, direction, timeMs, packet))
  }

  private record (streamFrame: StreamFrame, packet: MqttPacket | null, packets: number, join: 'exact' | 'none', own: boolean): void {
    const { frame, stream, direction } = streamFrame
    this.emit({
      frame: frame.number,
      seconds: frame.seconds,
      nanoseconds: frame.nanoseconds,
      features: extractFeatures(streamFrame, packet),
      join,
      direction,
      peer: this.peerOf(stream),
      packets,
      own
    })
  }

  private peerOf (stream: TcpStream): Peer {
    let peer = this.peers.get(stream)
    if (peer === undefined) {
      peer = { client: stream.client, broker: stream.broker, connection: null, clientId: null, username: null }
      this.peers.set(stream, peer)
    }
    return peer
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

function tupleKey ({ client, broker }: Pick<Peer, 'client' | 'broker'>): string {
  return `${client.address} ${client.port} ${broker.address} ${broker.port}`
}

function endsInGap ({ chunks }: StreamFrame, { end }: MqttPacket): boolean {
  return chunks.some(({ start, length, lost }) => lost === true && end > start && end <= start + length)
}

/**
 * Whether the frame shows another first byte where the broker says a packet begins. The join is exact
 * by construction; should a tuple ever be bound wrongly, this is what notices.
 */
function contradicts ({ chunks }: StreamFrame, { end, size, header }: MqttPacket): boolean {
  const begin = end - size
  for (const { start, length, bytes } of chunks) {
    if (begin < start || begin >= start + length || bytes === null) continue
    return bytes[begin - start] !== header
  }
  return false
}
