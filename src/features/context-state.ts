// State of connections, addresses and client ids from which the context columns are read.

import { isRefusal, readConnect, readSubscribe } from '../decode/mqtt-facts.js'
import { PacketType } from '../decode/packet-types.js'
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from '../decode/tcp.js'
import type { Direction, MqttPacket } from '../types.js'
import { AnsweredRecords, type AnswerQuota } from './answered-records.js'
import { DampedCounts, DistinctSketch } from './damped.js'
import {
  Count,
  COUNTS,
  isProtocolViolation,
  type FrameSummary,
  type RecordSummary,
  type FrameCounts
} from './frame-counts.js'

const QOS_2 = 2
/** Assumed keep alive of a connection without one, seconds. */
const DEFAULT_KEEP_ALIVE = 60
/** Time after a connection's start during which its traffic counts as a reconnect after a takeover, seconds. */
const RECONNECT_SECONDS = 1

/** State common to connections and addresses. */
export class TrafficState {
  recent = true
  readonly counts = new DampedCounts(COUNTS)
  readonly topics = new DistinctSketch()

  /** Adds the amounts of a record. */
  count({ amounts, topics }: FrameCounts, time: number): void {
    this.counts.decay(time)
    for (let i = 0; i < COUNTS; i++) if (amounts[i] !== 0) this.counts.add(i, amounts[i])
    for (const hash of topics) this.topics.add(hash, time)
  }
}

/** A takeover of a session by another address. */
interface Takeover {
  client: ClientState
  /** The previous connection of the session. */
  previous: ConnectionState
  /** Number of the record with the CONNECT of the takeover. */
  record: number
}

/** State of a source address. */
export class AddressState extends TrafficState {
  /** Connections whose start, but not their end, was captured. */
  open = 0
  /** The last takeover of a client at this address that has not reconnected. */
  lastTakeover: Takeover | null = null
}

/** State of a client id, over all its connections. */
export class ClientState {
  recent = true
  /** The connection of the session, until it ends. */
  #connection: ConnectionState | null = null

  /**
   * Handles a CONNECT with this client id. The previous connection is disconnected [MQTT-3.1.4-2].
   *
   * @returns the takeover, if the previous connection has another address
   */
  connect(connection: ConnectionState, record: number): Takeover | null {
    const previous = this.#connection
    this.#connection = connection
    if (previous === null || previous.source === connection.source) return null
    const takeover = { client: this, previous, record }
    previous.takeOver(takeover)
    return takeover
  }

  /** Undoes a takeover whose CONNECT was refused. */
  undoTakeover(takeover: Takeover): void {
    this.#connection = takeover.previous
    takeover.previous.undoTakeover(takeover)
  }

  /** Handles the end of a connection: it can no longer be taken over. */
  release(connection: ConnectionState): void {
    if (this.#connection === connection) this.#connection = null
  }
}

/** State of a connection. */
export class ConnectionState extends TrafficState {
  readonly answers: AnsweredRecords
  /** State of its client id, once a CONNECT has provided one. */
  client: ClientState | null = null
  /** Seconds; null before a CONNECT. */
  keepAlive: number | null = null
  will = false
  /** Total number of wide filters. */
  wideFilters = 0
  filters = 0
  /** Total number of SUBSCRIBE packets. */
  subscribes = 0
  /** Total number of malformed or unexpected packets. */
  malformed = 0
  /** PUBLISH packets with QoS 2 from the client without a PUBREL. */
  releasesDue = 0
  /** PUBLISH packets with QoS 1 and 2 to the client without an acknowledgement. */
  acksDue = 0
  /** Bytes after the last complete packet of each direction. */
  readonly waitingBytes: Record<Direction, number> = { in: 0, out: 0 }
  /** Time of the last complete packet from the client, epoch seconds. */
  lastPacket: number
  readonly #opened: number
  readonly #end: Record<Direction, number> = { in: 0, out: 0 }
  #isOpen = false
  #isEstablished = false
  #isClosing = false
  #takeover: Takeover | null = null
  /** Takeover by its own CONNECT, until the CONNACK. */
  #pendingTakeover: Takeover | null = null
  /** The takeover after which it reconnects, as far as is known. */
  #reconnectAfter: Takeover | null

  constructor(
    public address: AddressState,
    public source: string,
    time: number,
    quota: AnswerQuota
  ) {
    super()
    this.answers = new AnsweredRecords(quota)
    this.#opened = time
    this.lastPacket = time
    this.#reconnectAfter = address.lastTakeover
  }

  /** Number of the CONNECT from another address that caused a record at this time; null if there is none. */
  takenOverBy(time: number): number | null {
    return (this.#takeover ?? (time < this.#opened + RECONNECT_SECONDS ? this.#reconnectAfter : null))?.record ?? null
  }

  /** Handles a takeover by another address. */
  takeOver(by: Takeover): void {
    this.#takeover = by
    this.address.lastTakeover = by
  }

  /** Undoes a takeover that was refused. */
  undoTakeover(by: Takeover): void {
    if (this.#takeover === by) this.#takeover = null
    if (this.address.lastTakeover === by) this.address.lastTakeover = null
  }

  /**
   * Seconds since the connection was first seen, until the first complete packet from the client, then 0. A connection
   * picked up mid-stream does not age.
   */
  waitedForConnect(time: number): number {
    return this.#end.in === 0 ? Math.max(0, time - this.#opened) : 0
  }

  /** Seconds since the client's last complete packet, as a share of its keep alive, or of a minute if it has none. */
  idle(time: number): number {
    const seconds = Math.max(0, time - this.lastPacket)
    return seconds / (this.keepAlive === null || this.keepAlive === 0 ? DEFAULT_KEEP_ALIVE : this.keepAlive)
  }

  update(summary: RecordSummary, record: number, clientOf: (hash: number) => ClientState): void {
    const { time, direction, packets, frame } = summary
    if (frame !== null) this.#updateFromFrame(frame, direction)
    for (const packet of packets) {
      if (direction === 'in') this.#updateFromClient(packet, record, clientOf)
      else if (packet.header >> 4 === PacketType.CONNACK) this.#answerConnect(isRefusal(packet))
      else if (packet.header >> 4 === PacketType.PUBLISH && qosOf(packet) > 0) this.acksDue++
    }
    if (packets.length > 0) {
      if (direction === 'in') this.lastPacket = time
      this.#end[direction] = packets[packets.length - 1].end
    }
    if (frame !== null && frame.to !== null) this.waitingBytes[direction] = Math.max(0, frame.to - this.#end[direction])
  }

  /** Handles the client address announced by a proxy. */
  moveTo(address: AddressState, source: string): void {
    if (this.#isOpen) {
      this.address.open--
      address.open++
    }
    this.address = address
    this.source = source
    this.#reconnectAfter = address.lastTakeover
  }

  /** Removes a closed or evicted connection from the open connections. */
  markClosed(): void {
    if (this.#isOpen) this.address.open--
    this.#isOpen = false
    this.#pendingTakeover = null
    this.client?.release(this)
  }

  #updateFromFrame({ flags }: FrameSummary, direction: Direction): void {
    const up = direction === 'in'
    const { counts } = this.address
    if (up && (flags & (TCP_SYN | TCP_ACK)) === TCP_SYN && !this.#isOpen && !this.#isClosing) {
      this.#isOpen = true
      this.address.open++
      counts.add(Count.Opened, 1)
      counts.add(Count.HalfOpen, 1)
    } else if (up && (flags & TCP_ACK) !== 0 && this.#isOpen && !this.#isEstablished) {
      this.#isEstablished = true
      counts.add(Count.HalfOpen, -1)
    }
    if ((flags & (TCP_FIN | TCP_RST)) === 0 || this.#isClosing) return
    this.#isClosing = true
    if (!up) counts.add(Count.ClosedByBroker, 1)
    this.markClosed()
  }

  #updateFromClient(packet: MqttPacket, record: number, clientOf: (hash: number) => ClientState): void {
    const type = packet.header >> 4
    if (isProtocolViolation(packet)) this.malformed++
    if (type === PacketType.DISCONNECT) this.client?.release(this)
    if (type === PacketType.PUBLISH && qosOf(packet) === QOS_2) this.releasesDue++
    else if (type === PacketType.PUBREL) this.releasesDue = Math.max(0, this.releasesDue - 1)
    else if (type === PacketType.PUBACK || type === PacketType.PUBREC) this.acksDue = Math.max(0, this.acksDue - 1)
    const connect = readConnect(packet)
    if (connect !== null) {
      // A second CONNECT is a protocol violation [MQTT-3.1.0-2].
      if (this.keepAlive !== null) this.malformed++
      this.keepAlive = connect.keepAlive
      this.will = connect.will
      if (packet.clientHash !== 0) this.#connect(clientOf(packet.clientHash), record)
    } else if (this.keepAlive === null && this.#isOpen && type !== PacketType.DISCONNECT) {
      // No packet may precede the first CONNECT [MQTT-3.1.0-1].
      this.malformed++
    }
    const subscribe = readSubscribe(packet)
    if (subscribe === null) return
    this.subscribes++
    this.filters += subscribe.filters
    this.wideFilters += subscribe.wildcards + subscribe.widest
  }

  #connect(client: ClientState, record: number): void {
    this.client = client
    if (this.#reconnectAfter?.client !== client) this.#reconnectAfter = null
    else if (this.address.lastTakeover === this.#reconnectAfter) this.address.lastTakeover = null
    this.#pendingTakeover = client.connect(this, record)
  }

  #answerConnect(isRefused: boolean): void {
    if (isRefused && this.#pendingTakeover !== null) this.#pendingTakeover.client.undoTakeover(this.#pendingTakeover)
    this.#pendingTakeover = null
  }
}

function qosOf({ header }: MqttPacket): number {
  return (header >> 1) & 3
}
