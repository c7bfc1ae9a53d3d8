// Tracks TCP connections as the tap sees them and assigns each segment to its stream.
import type { Direction, Endpoint, StreamChunk, StreamFrame, TcpFrame, TcpStream } from '../types.js'
import { Reassembly } from './reassembly.js'
import type { HeldMemory, ReassemblyCounters, ReassemblyLimits } from './reassembly.js'
import { DeltaWindow, secondsBetween } from './frame-times.js'
import type { FrameTime } from './frame-times.js'
import { SecondChance } from './second-chance.js'
import type { Evictable } from './second-chance.js'
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from './tcp.js'
import { TUPLE_SLOTS, isBetween, isFrom, slotOf, tupleOf } from './tuples.js'

/** Limits of `TcpStreams`. */
export interface TcpStreamLimits extends ReassemblyLimits {
  /** Open connections; one without recent frames is evicted. */
  streams: number
  /** Closed connections, kept for late frames; one without recent frames is evicted. */
  closedStreams: number
}

/** Enough for the connections of one broker; small enough for a Raspberry Pi under a SYN flood. */
export const TCP_STREAM_LIMITS: TcpStreamLimits = Object.freeze({
  streams: 65_536,
  closedStreams: 4_096,
  heldBytes: 1_048_576,
  heldSegments: 1_024,
  heldBytesTotal: 134_217_728
})

/** Counters of the streams; they include all losses. */
export interface TcpStreamCounters extends ReassemblyCounters {
  /** Frames assigned to streams. */
  frames: number
  /** Connections seen. */
  streams: number
  /** Open connections evicted for newer ones. */
  streamsEvicted: number
}

const NO_CHUNKS: readonly StreamChunk[] = Object.freeze([])

interface Connection extends FrameTime, Evictable {
  readonly key: string
  readonly stream: TcpStream
  readonly in: Reassembly
  readonly out: Reassembly
  /** Whether a RST or both FINs were captured. */
  closed: boolean
}

/**
 * Assigns the frames of a capture, pushed in order, to their streams. A SYN with a new initial sequence number on a
 * known tuple starts a new stream. All state is limited and every loss is counted.
 */
export class TcpStreams {
  readonly counters: TcpStreamCounters = {
    frames: 0,
    streams: 0,
    streamsEvicted: 0,
    gapsLost: 0,
    gapsForced: 0,
    gapBytes: 0
  }

  readonly #ports: ReadonlySet<number>
  readonly #limits: TcpStreamLimits
  readonly #connections = new Map<string, Connection>()
  readonly #open: SecondChance<Connection>
  /** Kept so that late frames still find their stream. */
  readonly #closed: SecondChance<Connection>
  /** Cache of recent connections, found without building their key. */
  readonly #cache = new Array<Connection | undefined>(TUPLE_SLOTS).fill(undefined)
  readonly #deltas = new DeltaWindow()
  readonly #heldMemory: HeldMemory = { bytes: 0 }

  constructor(ports: ReadonlySet<number>, limits: Partial<TcpStreamLimits> = {}) {
    this.#ports = ports
    this.#limits = { ...TCP_STREAM_LIMITS, ...limits }
    this.#open = new SecondChance(this.#limits.streams)
    this.#closed = new SecondChance(this.#limits.closedStreams)
  }

  /** Number of open connections. */
  get open(): number {
    return this.#open.size
  }

  /** Number of closed connections still kept. */
  get closed(): number {
    return this.#closed.size
  }

  /** Memory of early segments, bytes. */
  get heldBytes(): number {
    return this.#heldMemory.bytes
  }

  /** Assigns the next frame of the capture. */
  push(frame: TcpFrame): StreamFrame {
    const { sequence, flags } = frame.tcp
    this.counters.frames++
    const connection = this.#connectionOf(frame)
    const { stream } = connection
    const direction = isFrom(frame, stream.client) ? 'in' : 'out'
    const reassembly = connection[direction]

    const delta = secondsBetween(connection, frame)
    connection.seconds = frame.seconds
    connection.nanoseconds = frame.nanoseconds
    const l20Average = this.#deltas.mean()
    this.#deltas.push(delta)

    applyHeader(connection, direction, frame)
    const from = reassembly.next
    const first = (flags & TCP_SYN) === 0 ? sequence : (sequence + 1) >>> 0
    // Data on a RST is a diagnostic text, not part of the stream (RFC 9293, section 3.5.2).
    const chunks = (flags & TCP_RST) === 0 ? reassembly.push(first, frame.payloadLength, frame.payload) : NO_CHUNKS
    const to = reassembly.next
    if (connection.closed) {
      // The connection continues: the RST was forged or had no effect.
      if (to > from && !isClosed(stream, flags)) this.#reopen(connection)
    } else if (isClosed(stream, flags)) this.#close(connection)
    return { frame, stream, direction, delta, l20Average, from, to, chunks }
  }

  #connectionOf(frame: TcpFrame): Connection {
    const {
      ip: { source, destination },
      tcp: { sourcePort, destinationPort }
    } = frame
    const slot = slotOf(source, sourcePort, destination, destinationPort)
    const cached = this.#cache[slot]
    if (cached !== undefined && isBetween(frame, cached.stream) && !reusesTuple(cached, frame)) {
      cached.recent = true
      return cached
    }
    return (this.#cache[slot] = this.#findOrOpen(frame))
  }

  #findOrOpen(frame: TcpFrame): Connection {
    const brokerSent = this.#isBrokerSource(frame)
    const key = brokerSent
      ? tupleOf(frame.ip.destination, frame.tcp.destinationPort, frame.ip.source, frame.tcp.sourcePort)
      : tupleOf(frame.ip.source, frame.tcp.sourcePort, frame.ip.destination, frame.tcp.destinationPort)
    const known = this.#connections.get(key)
    if (known !== undefined && !reusesTuple(known, frame)) {
      known.recent = true
      return known
    }
    if (known !== undefined) {
      ;(known.closed ? this.#closed : this.#open).remove(known)
      this.#remove(known)
    }
    const connection = this.#createConnection(frame, key, this.#isBrokerSide(frame, brokerSent))
    this.#connections.set(key, connection)
    this.#addOpen(connection)
    return connection
  }

  /** Adds an open connection and evicts another if the limit is reached. */
  #addOpen(connection: Connection): void {
    const evicted = this.#open.add(connection)
    if (evicted === undefined) return
    this.#remove(evicted)
    this.counters.streamsEvicted++
  }

  #close(connection: Connection): void {
    connection.closed = true
    this.#open.remove(connection)
    const evicted = this.#closed.add(connection)
    if (evicted !== undefined) this.#remove(evicted)
  }

  #reopen(connection: Connection): void {
    connection.closed = false
    this.#closed.remove(connection)
    this.#addOpen(connection)
  }

  /** Whether the source is the broker, by ports and addresses alone, so that both directions agree. */
  #isBrokerSource(frame: TcpFrame): boolean {
    const { sourcePort, destinationPort } = frame.tcp
    if (this.#ports.has(sourcePort) !== this.#ports.has(destinationPort)) return this.#ports.has(sourcePort)
    if (sourcePort !== destinationPort) return sourcePort < destinationPort
    return frame.ip.source < frame.ip.destination
  }

  /** If both ports are watched, a handshake frame shows which side opened the connection. */
  #isBrokerSide(frame: TcpFrame, byPorts: boolean): boolean {
    const { sourcePort, destinationPort, flags } = frame.tcp
    if (!this.#ports.has(sourcePort) || !this.#ports.has(destinationPort) || (flags & TCP_SYN) === 0) return byPorts
    return (flags & TCP_ACK) !== 0
  }

  #createConnection(frame: TcpFrame, key: string, brokerSent: boolean): Connection {
    const source: Endpoint = { address: frame.ip.source, port: frame.tcp.sourcePort }
    const destination: Endpoint = { address: frame.ip.destination, port: frame.tcp.destinationPort }
    const stream: TcpStream = {
      id: this.counters.streams++,
      client: brokerSent ? destination : source,
      broker: brokerSent ? source : destination,
      synced: { in: false, out: false },
      ended: { in: false, out: false }
    }
    const { seconds, nanoseconds } = frame
    return {
      key,
      stream,
      in: this.#createReassembly(),
      out: this.#createReassembly(),
      closed: false,
      recent: true,
      slot: 0,
      seconds,
      nanoseconds
    }
  }

  #createReassembly(): Reassembly {
    return new Reassembly(this.#limits, this.counters, this.#heldMemory)
  }

  #remove({ key, stream: { client, broker }, in: inbound, out }: Connection): void {
    inbound.release()
    out.release()
    this.#cache[slotOf(client.address, client.port, broker.address, broker.port)] = undefined
    this.#connections.delete(key)
  }
}

/** Whether a frame is a SYN with a new initial sequence number: the tuple is reused. */
function reusesTuple(connection: Connection, frame: TcpFrame): boolean {
  if ((frame.tcp.flags & (TCP_SYN | TCP_ACK)) !== TCP_SYN) return false
  const { initial } = isFrom(frame, connection.stream.client) ? connection.in : connection.out
  return initial !== null && initial !== frame.tcp.sequence
}

/** Whether the connection is closed, given a frame's flags. */
function isClosed({ ended }: TcpStream, flags: number): boolean {
  return (flags & TCP_RST) !== 0 || (ended.in && ended.out)
}

/** Updates both directions from a frame's TCP header. */
function applyHeader(connection: Connection, direction: Direction, frame: TcpFrame): void {
  const { sequence, acknowledgement, flags } = frame.tcp
  const { synced, ended } = connection.stream
  const side = connection[direction]
  const opposite = direction === 'in' ? 'out' : 'in'
  const other = connection[opposite]
  const isSyn = (flags & TCP_SYN) !== 0
  if (isSyn) {
    side.initial = sequence
    side.place(sequence + 1)
    synced[direction] = true
  }
  side.initial ??= (sequence - 1) >>> 0
  if ((flags & (TCP_FIN | TCP_RST)) !== 0) ended[direction] = true
  if ((flags & TCP_ACK) === 0) return
  other.initial ??= (acknowledgement - 1) >>> 0
  if (isSyn && !other.placed) {
    // The peer's SYN was not captured, but this SYN-ACK acknowledges its sequence number.
    other.place(acknowledgement)
    synced[opposite] = true
  }
  other.acknowledge(acknowledgement)
}
