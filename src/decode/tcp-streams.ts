// TCP connections as the tap sees them: places every segment in its stream.
import type { Direction, Endpoint, StreamChunk, StreamFrame, TcpFrame, TcpStream } from '../types.js'
import { Reassembly } from './reassembly.js'
import type { HeldRoom, ReassemblyCounters, ReassemblyLimits } from './reassembly.js'
import { DeltaWindow, secondsBetween } from './frame-times.js'
import type { FrameTime } from './frame-times.js'
import { SecondChance } from './second-chance.js'
import type { Evictable } from './second-chance.js'
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from './tcp.js'
import { TUPLE_SLOTS, isBetween, isFrom, slotOf, tupleOf } from './tuples.js'

/** What `TcpStreams` may remember. */
export interface TcpStreamLimits extends ReassemblyLimits {
  /** Open connections; one that was silent lately makes room. */
  streams: number
  /** Closed ones, for what is captured late; one that was silent lately makes room. */
  closedStreams: number
}

/** Enough for any link that one broker serves; small enough for a Raspberry Pi under a SYN flood. */
export const TCP_STREAM_LIMITS: TcpStreamLimits = Object.freeze({
  streams: 65_536,
  closedStreams: 4_096,
  heldBytes: 1_048_576,
  heldSegments: 1_024,
  heldBytesTotal: 134_217_728
})

/** What is counted, because nothing is lost in silence. */
export interface TcpStreamCounters extends ReassemblyCounters {
  /** Frames placed. */
  frames: number
  /** Connections seen. */
  streams: number
  /** Open connections forgotten to make room for newer ones. */
  streamsEvicted: number
}

const NOTHING: readonly StreamChunk[] = Object.freeze([])

interface Connection extends FrameTime, Evictable {
  readonly key: string
  readonly stream: TcpStream
  readonly in: Reassembly
  readonly out: Reassembly
  /** Whether a RST or both FINs were seen. */
  closed: boolean
}

/**
 * Places the frames of a capture, pushed in its order, in their streams. A SYN with a new initial
 * sequence number on a known tuple begins a new stream. Everything kept is capped and every loss
 * counted.
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
  /** So that what is captured late still finds its stream. */
  readonly #closed: SecondChance<Connection>
  /** Connections of the latest frames, found without their key. */
  readonly #latest = new Array<Connection | undefined>(TUPLE_SLOTS).fill(undefined)
  readonly #deltas = new DeltaWindow()
  readonly #room: HeldRoom = { bytes: 0 }

  constructor(ports: ReadonlySet<number>, limits: Partial<TcpStreamLimits> = {}) {
    this.#ports = ports
    this.#limits = { ...TCP_STREAM_LIMITS, ...limits }
    this.#open = new SecondChance(this.#limits.streams)
    this.#closed = new SecondChance(this.#limits.closedStreams)
  }

  /** Open connections remembered now. */
  get open(): number {
    return this.#open.size
  }

  /** Closed ones. */
  get closed(): number {
    return this.#closed.size
  }

  /** Memory of segments that wait for those before them, bytes. */
  get heldBytes(): number {
    return this.#room.bytes
  }

  /** Places the next frame of the capture. */
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

    follow(connection, direction, frame)
    const from = reassembly.next
    const first = (flags & TCP_SYN) === 0 ? sequence : (sequence + 1) >>> 0
    // What a RST carries is a reason for people, not part of the stream (RFC 9293, section 3.5.2).
    const chunks = (flags & TCP_RST) === 0 ? reassembly.push(first, frame.payloadLength, frame.payload) : NOTHING
    const to = reassembly.next
    if (connection.closed) {
      // Whoever sent the RST, somebody goes on.
      if (to > from && !isOver(stream, flags)) this.#reopen(connection)
    } else if (isOver(stream, flags)) this.#close(connection)
    return { frame, stream, direction, delta, l20Average, from, to, chunks }
  }

  #connectionOf(frame: TcpFrame): Connection {
    const {
      ip: { source, destination },
      tcp: { sourcePort, destinationPort }
    } = frame
    const place = slotOf(source, sourcePort, destination, destinationPort)
    const latest = this.#latest[place]
    if (latest !== undefined && isBetween(frame, latest.stream) && !opensAnother(latest, frame)) {
      latest.recent = true
      return latest
    }
    return (this.#latest[place] = this.#findOrOpen(frame))
  }

  #findOrOpen(frame: TcpFrame): Connection {
    const brokerSent = this.#isBrokerSource(frame)
    const key = brokerSent
      ? tupleOf(frame.ip.destination, frame.tcp.destinationPort, frame.ip.source, frame.tcp.sourcePort)
      : tupleOf(frame.ip.source, frame.tcp.sourcePort, frame.ip.destination, frame.tcp.destinationPort)
    const known = this.#connections.get(key)
    if (known !== undefined && !opensAnother(known, frame)) {
      known.recent = true
      return known
    }
    if (known !== undefined) {
      ;(known.closed ? this.#closed : this.#open).remove(known)
      this.#forget(known)
    }
    const connection = this.#connection(frame, key, this.#isBrokerOpening(frame, brokerSent))
    this.#connections.set(key, connection)
    this.#keep(connection)
    return connection
  }

  /** Keeps it among the open ones. */
  #keep(connection: Connection): void {
    const evicted = this.#open.add(connection)
    if (evicted === undefined) return
    this.#forget(evicted)
    this.counters.streamsEvicted++
  }

  #close(connection: Connection): void {
    connection.closed = true
    this.#open.remove(connection)
    const forgotten = this.#closed.add(connection)
    if (forgotten !== undefined) this.#forget(forgotten)
  }

  #reopen(connection: Connection): void {
    connection.closed = false
    this.#closed.remove(connection)
    this.#keep(connection)
  }

  /** Whether the source is on the broker's side, by the ports alone, so that both directions agree. */
  #isBrokerSource(frame: TcpFrame): boolean {
    const { sourcePort, destinationPort } = frame.tcp
    if (this.#ports.has(sourcePort) !== this.#ports.has(destinationPort)) return this.#ports.has(sourcePort)
    if (sourcePort !== destinationPort) return sourcePort < destinationPort
    return frame.ip.source < frame.ip.destination
  }

  /** Where both ports are watched, the first frame says who opened the connection, if it is part of the handshake. */
  #isBrokerOpening(frame: TcpFrame, byPorts: boolean): boolean {
    const { sourcePort, destinationPort, flags } = frame.tcp
    if (!this.#ports.has(sourcePort) || !this.#ports.has(destinationPort) || (flags & TCP_SYN) === 0) return byPorts
    return (flags & TCP_ACK) !== 0
  }

  #connection(frame: TcpFrame, key: string, brokerSent: boolean): Connection {
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
      in: this.#direction(),
      out: this.#direction(),
      closed: false,
      recent: true,
      slot: 0,
      seconds,
      nanoseconds
    }
  }

  #direction(): Reassembly {
    return new Reassembly(this.#limits, this.counters, this.#room)
  }

  #forget({ key, stream: { client, broker }, in: inbound, out }: Connection): void {
    inbound.release()
    out.release()
    this.#latest[slotOf(client.address, client.port, broker.address, broker.port)] = undefined
    this.#connections.delete(key)
  }
}

/** A SYN of a client with another initial sequence number than before: the tuple is used again. */
function opensAnother(connection: Connection, frame: TcpFrame): boolean {
  if ((frame.tcp.flags & (TCP_SYN | TCP_ACK)) !== TCP_SYN) return false
  const { initial } = isFrom(frame, connection.stream.client) ? connection.in : connection.out
  return initial !== null && initial !== frame.tcp.sequence
}

/** Whether, with this frame's flags, nothing new is to come. */
function isOver({ ended }: TcpStream, flags: number): boolean {
  return (flags & TCP_RST) !== 0 || (ended.in && ended.out)
}

/** Takes what a header says about both directions. */
function follow(connection: Connection, direction: Direction, frame: TcpFrame): void {
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
    // The SYN that this one answers was missed, but not its number.
    other.place(acknowledgement)
    synced[opposite] = true
  }
  other.acknowledge(acknowledgement)
}
