// What is remembered of connections, addresses and client ids, from which the context columns are read.

import { isRefusal, readConnect, readSubscribe } from '../decode/mqtt-facts.js'
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

const CONNACK = 2
const PUBLISH = 3
const PUBACK = 4
const PUBREC = 5
const PUBREL = 6
const DISCONNECT = 14
const QOS_2 = 2
/** A connection without a keep alive is held to this one, seconds. */
const USUAL_KEEP_ALIVE = 60
/**
 * Who was thrown out does in its first second back, from the opening of a connection on, what it would not have had to
 * do.
 */
const RETURN_SECONDS = 1

/** What connections and addresses have in common. */
export class TrafficState {
  recent = true
  readonly counts = new DampedCounts(COUNTS)
  readonly topics = new DistinctSketch()

  /** Takes a tallied record in. */
  count({ amounts, topics }: FrameCounts, time: number): void {
    this.counts.fade(time)
    for (let i = 0; i < COUNTS; i++) if (amounts[i] !== 0) this.counts.add(i, amounts[i])
    for (const hash of topics) this.topics.add(hash, time)
  }
}

/** A session that another address took over. */
interface Takeover {
  client: ClientState
  /** Who had it. */
  holder: ConnectionState
  /** Number of the record with the CONNECT that took it. */
  record: number
}

/** A source address. */
export class AddressState extends TrafficState {
  /** Connections that were seen to open and not to end. */
  open = 0
  /** By which a client of this address was thrown out last that has not come back. */
  thrownOut: Takeover | null = null
}

/** A client id, whoever uses it. */
export class ClientState {
  recent = true
  /** Who has the session, as long as it has not left. */
  #holder: ConnectionState | null = null

  /**
   * A connection comes with this client id: whoever has the session is thrown out [MQTT-3.1.4-2].
   * @returns the takeover, where it was of another address
   */
  connect(connection: ConnectionState, record: number): Takeover | null {
    const holder = this.#holder
    this.#holder = connection
    if (holder === null || holder.source === connection.source) return null
    const takeover = { client: this, holder, record }
    holder.throwOut(takeover)
    return takeover
  }

  /** The CONNECT was refused: the session stays where it was. */
  stay(takeover: Takeover): void {
    this.#holder = takeover.holder
    takeover.holder.stay(takeover)
  }

  /** A connection ends: it can no longer be thrown out. */
  leave(connection: ConnectionState): void {
    if (this.#holder === connection) this.#holder = null
  }
}

/** A connection. */
export class ConnectionState extends TrafficState {
  readonly answers: AnsweredRecords
  /** Its client id's, once a CONNECT told it. */
  client: ClientState | null = null
  /** Seconds; null before a CONNECT. */
  keepAlive: number | null = null
  will = false
  /** Filters that reach widely, in all. */
  wideFilters = 0
  filters = 0
  /** SUBSCRIBE packets, in all. */
  subscribes = 0
  /** Packets that are not as they must be, in all. */
  malformed = 0
  /** PUBLISH packets with QoS 2 from the client that no PUBREL followed. */
  releasesDue = 0
  /** PUBLISH packets with QoS 1 and 2 to the client that it did not acknowledge. */
  acksDue = 0
  /** Bytes that came after the last complete packet of each direction. */
  readonly waitingBytes: Record<Direction, number> = { in: 0, out: 0 }
  /** Since when nothing complete came from the client; epoch seconds. */
  lastPacket: number
  readonly #opened: number
  readonly #end: Record<Direction, number> = { in: 0, out: 0 }
  #isOpen = false
  #isEstablished = false
  #isClosing = false
  #thrownOut: Takeover | null = null
  /** What its own CONNECT took, until that is answered. */
  #takes: Takeover | null = null
  /** Of whom it is the return, as far as is known. */
  #returned: Takeover | null

  constructor(
    public address: AddressState,
    public source: string,
    time: number,
    room: AnswerQuota
  ) {
    super()
    this.answers = new AnsweredRecords(room)
    this.#opened = time
    this.lastPacket = time
    this.#returned = address.thrownOut
  }

  /**
   * The CONNECT of another address without which a record at this time would not be there; null where there is none.
   */
  takenOverBy(time: number): number | null {
    return (this.#thrownOut ?? (time < this.#opened + RETURN_SECONDS ? this.#returned : null))?.record ?? null
  }

  /** Another address takes the session over. */
  throwOut(by: Takeover): void {
    this.#thrownOut = by
    this.address.thrownOut = by
  }

  /** It did not. */
  stay(by: Takeover): void {
    if (this.#thrownOut === by) this.#thrownOut = null
    if (this.address.thrownOut === by) this.address.thrownOut = null
  }

  /**
   * Seconds without any complete packet since the connection was first seen; 0 once one came: a connection met in
   * mid-stream does not age.
   */
  waitedForConnect(time: number): number {
    return this.#end.in === 0 ? Math.max(0, time - this.#opened) : 0
  }

  /**
   * Seconds since the client's last complete packet, as a share of its keep alive, or of a minute where it has none.
   */
  idle(time: number): number {
    const seconds = Math.max(0, time - this.lastPacket)
    return seconds / (this.keepAlive === null || this.keepAlive === 0 ? USUAL_KEEP_ALIVE : this.keepAlive)
  }

  see(sight: RecordSummary, record: number, clientOf: (hash: number) => ClientState): void {
    const { time, direction, packets, frame } = sight
    if (frame !== null) this.#seeFrame(frame, direction)
    for (const packet of packets) {
      if (direction === 'in') this.#seeUp(packet, record, clientOf)
      else if (packet.header >> 4 === CONNACK) this.#answerConnect(isRefusal(packet))
      else if (packet.header >> 4 === PUBLISH && qosOf(packet) > 0) this.acksDue++
    }
    if (packets.length > 0) {
      if (direction === 'in') this.lastPacket = time
      this.#end[direction] = packets[packets.length - 1].end
    }
    if (frame !== null && frame.to !== null) this.waitingBytes[direction] = Math.max(0, frame.to - this.#end[direction])
  }

  /** A proxy has announced from where its client comes. */
  moveTo(address: AddressState, source: string): void {
    if (this.#isOpen) {
      this.address.open--
      address.open++
    }
    this.address = address
    this.source = source
    this.#returned = address.thrownOut
  }

  /** Closed or forgotten: it no longer counts as open. */
  forget(): void {
    if (this.#isOpen) this.address.open--
    this.#isOpen = false
    this.#takes = null
    this.client?.leave(this)
  }

  #seeFrame({ flags }: FrameSummary, direction: Direction): void {
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
    this.forget()
  }

  #seeUp(packet: MqttPacket, record: number, clientOf: (hash: number) => ClientState): void {
    const type = packet.header >> 4
    if (isProtocolViolation(packet)) this.malformed++
    if (type === DISCONNECT) this.client?.leave(this)
    if (type === PUBLISH && qosOf(packet) === QOS_2) this.releasesDue++
    else if (type === PUBREL) this.releasesDue = Math.max(0, this.releasesDue - 1)
    else if (type === PUBACK || type === PUBREC) this.acksDue = Math.max(0, this.acksDue - 1)
    const connect = readConnect(packet)
    if (connect !== null) {
      // A second CONNECT is a protocol violation [MQTT-3.1.0-2].
      if (this.keepAlive !== null) this.malformed++
      this.keepAlive = connect.keepAlive
      this.will = connect.will
      if (packet.clientHash !== 0) this.#connect(clientOf(packet.clientHash), record)
    } else if (this.keepAlive === null && this.#isOpen && type !== DISCONNECT) {
      // Nor may anything come before the first [MQTT-3.1.0-1].
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
    if (this.#returned?.client !== client) this.#returned = null
    else if (this.address.thrownOut === this.#returned) this.address.thrownOut = null
    this.#takes = client.connect(this, record)
  }

  #answerConnect(isRefused: boolean): void {
    if (isRefused && this.#takes !== null) this.#takes.client.stay(this.#takes)
    this.#takes = null
  }
}

function qosOf({ header }: MqttPacket): number {
  return (header >> 1) & 3
}
