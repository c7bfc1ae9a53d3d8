// TCP connections as the tap sees them: places every segment in its stream.
import type { Direction, Endpoint, StreamChunk, StreamFrame, TcpFrame, TcpStream } from '../types.js'
import { Reassembly } from './reassembly.js'
import type { HeldRoom, ReassemblyCounters, ReassemblyLimits } from './reassembly.js'
import { DeltaWindow, secondsBetween } from './frame-times.js'
import type { FrameTime } from './frame-times.js'
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from './tcp.js'

/** What `TcpStreams` may remember. */
export interface TcpStreamLimits extends ReassemblyLimits {
  /** Connections; the one that was silent longest makes room. */
  streams: number
}

/** Enough for any link that one broker serves; small enough for a Raspberry Pi under a SYN flood. */
export const TCP_STREAM_LIMITS: TcpStreamLimits = Object.freeze({
  streams: 65_536,
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
  /** Connections forgotten to make room for newer ones. */
  streamsEvicted: number
}

/** One direction of a connection. */
interface Side {
  readonly reassembly: Reassembly
  /** Sequence number of its SYN, as far as one can tell; null before anything tells. */
  initial: number | null
}

/** Places for connections that are found again at once; a power of two. */
const LATEST = 4_096

const NOTHING: readonly StreamChunk[] = Object.freeze([])

interface Connection extends FrameTime {
  readonly key: string
  /** Its place among those that may have to make room. */
  readonly slot: number
  readonly stream: TcpStream
  readonly in: Side
  readonly out: Side
  /** Whether a frame came since room was last needed. */
  recent: boolean
}

/**
 * Places the frames of a capture, pushed in its order, in their streams. A SYN with a new initial
 * sequence number on a known tuple begins a new stream. Everything kept is capped and every loss
 * counted.
 */
export class TcpStreams {
  readonly counters: TcpStreamCounters = {
    frames: 0, streams: 0, streamsEvicted: 0, gapsLost: 0, gapsForced: 0, gapBytes: 0
  }

  readonly #ports: ReadonlySet<number>
  readonly #limits: TcpStreamLimits
  readonly #connections = new Map<string, Connection>()
  /** The same, by slot: a map that is emptied from its front takes longer with every one that went. */
  readonly #slots: Connection[] = []
  #hand = 0
  /** Connections of the latest frames, found without their key. */
  readonly #latest: (Connection | undefined)[] = new Array(LATEST).fill(undefined)
  readonly #deltas = new DeltaWindow()
  readonly #room: HeldRoom = { bytes: 0 }

  constructor (ports: ReadonlySet<number>, limits: Partial<TcpStreamLimits> = {}) {
    this.#ports = ports
    this.#limits = { ...TCP_STREAM_LIMITS, ...limits }
  }

  /** Connections remembered now. */
  get open (): number { return this.#connections.size }

  /** Memory of segments that wait for those before them, bytes. */
  get heldBytes (): number { return this.#room.bytes }

  /** Places the next frame of the capture. */
  push (frame: TcpFrame): StreamFrame {
    const { sequence, flags } = frame.tcp
    this.counters.frames++
    const connection = this.#connectionOf(frame)
    const { stream } = connection
    const direction = isFrom(frame, stream.client) ? 'in' : 'out'
    const { reassembly } = connection[direction]

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
    return { frame, stream, direction, delta, l20Average, from, to: reassembly.next, chunks }
  }

  #connectionOf (frame: TcpFrame): Connection {
    const place = placeOf(frame)
    const latest = this.#latest[place]
    if (latest !== undefined && this.#slots[latest.slot] === latest && isBetween(frame, latest.stream) && !opensAnother(latest, frame)) {
      latest.recent = true
      return latest
    }
    return this.#latest[place] = this.#findOrOpen(frame)
  }

  #findOrOpen (frame: TcpFrame): Connection {
    const brokerSent = this.#isBrokerSource(frame)
    const key = brokerSent ? tupleOf(frame.ip.destination, frame.tcp.destinationPort, frame.ip.source, frame.tcp.sourcePort)
      : tupleOf(frame.ip.source, frame.tcp.sourcePort, frame.ip.destination, frame.tcp.destinationPort)
    const known = this.#connections.get(key)
    if (known !== undefined && !opensAnother(known, frame)) {
      known.recent = true
      return known
    }
    const slot = known?.slot ?? this.#freeSlot()
    if (known !== undefined) this.#forget(known)
    const connection = this.#open(frame, key, slot, this.#isBrokerOpening(frame, brokerSent))
    this.#connections.set(key, connection)
    this.#slots[slot] = connection
    return connection
  }

  /** Whether the source is on the broker's side, by the ports alone, so that both directions agree. */
  #isBrokerSource (frame: TcpFrame): boolean {
    const { sourcePort, destinationPort } = frame.tcp
    if (this.#ports.has(sourcePort) !== this.#ports.has(destinationPort)) return this.#ports.has(sourcePort)
    if (sourcePort !== destinationPort) return sourcePort < destinationPort
    return frame.ip.source < frame.ip.destination
  }

  /** Where both ports are watched, the first frame says who opened the connection, if it is part of the handshake. */
  #isBrokerOpening (frame: TcpFrame, byPorts: boolean): boolean {
    const { sourcePort, destinationPort, flags } = frame.tcp
    if (!this.#ports.has(sourcePort) || !this.#ports.has(destinationPort) || (flags & TCP_SYN) === 0) return byPorts
    return (flags & TCP_ACK) !== 0
  }

  #open (frame: TcpFrame, key: string, slot: number, brokerSent: boolean): Connection {
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
    return { key, slot, stream, in: this.#side(), out: this.#side(), recent: true, seconds, nanoseconds }
  }

  #side (): Side {
    return { reassembly: new Reassembly(this.#limits, this.counters, this.#room), initial: null }
  }

  /** Where all are taken, the one of the first connection that was silent since it was last passed over. */
  #freeSlot (): number {
    if (this.#slots.length < this.#limits.streams) return this.#slots.length
    for (;;) {
      const slot = this.#hand
      this.#hand = (slot + 1) % this.#slots.length
      const connection = this.#slots[slot]!
      if (!connection.recent) {
        this.#forget(connection)
        this.counters.streamsEvicted++
        return slot
      }
      connection.recent = false
    }
  }

  #forget ({ key, in: inbound, out }: Connection): void {
    inbound.reassembly.release()
    out.reassembly.release()
    this.#connections.delete(key)
  }
}

function tupleOf (clientAddress: string, clientPort: number, brokerAddress: string, brokerPort: number): string {
  return `${clientAddress} ${clientPort} ${brokerAddress} ${brokerPort}`
}

/** The same for both directions. */
function placeOf ({ ip: { source, destination }, tcp: { sourcePort, destinationPort } }: TcpFrame): number {
  return ((sourcePort ^ destinationPort) + endOf(source) + endOf(destination)) & (LATEST - 1)
}

/** The last two characters of an address, where those of one network differ. */
function endOf (address: string): number {
  return address.charCodeAt(address.length - 1) * 41 + address.charCodeAt(address.length - 2) * 11 + address.charCodeAt(address.length - 3)
}

function isBetween (frame: TcpFrame, { client, broker }: TcpStream): boolean {
  const { ip: { source, destination }, tcp: { sourcePort, destinationPort } } = frame
  return sourcePort === client.port
    ? destinationPort === broker.port && source === client.address && destination === broker.address
    : sourcePort === broker.port && destinationPort === client.port && source === broker.address && destination === client.address
}

function isFrom (frame: TcpFrame, endpoint: Endpoint): boolean {
  return frame.tcp.sourcePort === endpoint.port && frame.ip.source === endpoint.address
}

/** A SYN of a client with another initial sequence number than before: the tuple is used again. */
function opensAnother (connection: Connection, frame: TcpFrame): boolean {
  if ((frame.tcp.flags & (TCP_SYN | TCP_ACK)) !== TCP_SYN) return false
  const { initial } = isFrom(frame, connection.stream.client) ? connection.in : connection.out
  return initial !== null && initial !== frame.tcp.sequence
}

/** Takes what a header says about both directions. */
function follow (connection: Connection, direction: Direction, frame: TcpFrame): void {
  const { sequence, acknowledgement, flags } = frame.tcp
  const { synced, ended } = connection.stream
  const side = connection[direction]
  const opposite = direction === 'in' ? 'out' : 'in'
  const other = connection[opposite]
  const isSyn = (flags & TCP_SYN) !== 0
  if (isSyn) {
    side.initial = sequence
    side.reassembly.place(sequence + 1)
    synced[direction] = true
  }
  side.initial ??= (sequence - 1) >>> 0
  if ((flags & (TCP_FIN | TCP_RST)) !== 0) ended[direction] = true
  if ((flags & TCP_ACK) === 0) return
  other.initial ??= (acknowledgement - 1) >>> 0
  if (isSyn && !other.reassembly.placed) {
    // The SYN that this one answers was missed, but not its number.
    other.reassembly.place(acknowledgement)
    synced[opposite] = true
  }
  other.reassembly.acknowledge(acknowledgement)
}
