// What one record adds to the counts of its connection and its address, tallied once for both.

import { isMalformed, isRefusal, readConnect, readSubscribe } from '../decode/mqtt-facts.js'
import { TCP_RST, TCP_SYN } from '../decode/tcp.js'
import type { Direction, MqttPacket, PacketBegun } from '../types.js'
import { isInitiative } from '../join/initiative.js'
import { topicHash } from './payload-sample.js'

/**
 * Counts of connections and addresses, of what the client does of its own accord. What it gets, and what
 * it must answer, is another's doing: counted, somebody's flood would colour everybody who subscribed.
 */
export const Count = Object.freeze({
  Frames: 0,
  Bytes: 1,
  Packets: 2,
  Publishes: 3,
  Connects: 4,
  Refusals: 5,
  WideFilters: 6,
  Malformed: 7,
  Retained: 8,
  PayloadBytes: 9,
  /** Frames that carry bytes and complete no packet. */
  Fragments: 10,
  Resets: 11,
  /** Of addresses only, counted when the connection changes. */
  Opened: 12,
  HalfOpen: 13,
  ClosedByBroker: 14
})

/** How many counts there are. */
export const COUNTS = 15

const PUBLISH = 3
const RETAIN = 1

/** What the wire says of a frame. */
export interface FrameSummary {
  /** Segment payload, bytes. */
  length: number
  /** TCP flags, sequence number and acknowledgement number. */
  flags: number
  sequence: number
  acknowledgement: number
  /** Offset up to which the direction's stream is contiguous; null where its packets cannot be read. */
  to: number | null
}

/** A record as the context sees it. */
export interface RecordSummary {
  /** Epoch seconds. */
  time: number
  direction: Direction
  packets: readonly MqttPacket[]
  /** The packet of which it carries a part beyond these; null where there is none or it is not known. */
  begun: PacketBegun | null
  /** null where there is no tap. */
  frame: FrameSummary | null
}

/** Types that a client never sends: CONNACK, SUBACK, UNSUBACK, PINGRESP. */
const BROKER_ONLY = (1 << 2) | (1 << 9) | (1 << 11) | (1 << 13)

/** Whether a client's packet is not as it must be. */
export function isProtocolViolation(packet: MqttPacket): boolean {
  return isMalformed(packet) || (BROKER_ONLY & (1 << (packet.header >> 4))) !== 0
}

function countInitiated(packets: readonly MqttPacket[]): number {
  let initiated = 0
  for (const packet of packets) if (isInitiative(packet)) initiated++
  return initiated
}

/**
 * Whether a frame from a client is more than an answer: it opens a connection, or carries a packet or part of one of
 * its own.
 */
function isInitiated({ packets, frame }: RecordSummary): boolean {
  if (packets.length > 0) return packets.some(isInitiative)
  return frame !== null && (frame.length > 0 || (frame.flags & TCP_SYN) !== 0)
}

/** The amounts of one record. */
export class FrameCounts {
  readonly amounts = new Float64Array(COUNTS)
  /** Hashes of the topics that the client published to. */
  readonly topics: number[] = []

  /** Tallies a record, in place of the one before. */
  take(sight: RecordSummary): void {
    const { direction, packets, frame } = sight
    const { amounts } = this
    amounts.fill(0)
    this.topics.length = 0
    if (frame !== null && (frame.flags & TCP_RST) !== 0) amounts[Count.Resets] = 1
    if (direction === 'out') {
      for (const packet of packets) if (isRefusal(packet)) amounts[Count.Refusals]++
      return
    }
    const initiated = countInitiated(packets)
    if (frame !== null && isInitiated(sight)) {
      amounts[Count.Frames] = 1
      amounts[Count.Bytes] = frame.length
      if (packets.length === 0 && frame.length > 0) amounts[Count.Fragments] = 1
    }
    amounts[Count.Packets] = initiated
    for (const packet of packets) {
      if (frame === null && isInitiative(packet)) amounts[Count.Bytes] += packet.size
      this.#takeUp(packet)
    }
  }

  #takeUp(packet: MqttPacket): void {
    const { amounts } = this
    if (isProtocolViolation(packet)) amounts[Count.Malformed]++
    if (packet.header >> 4 === PUBLISH) {
      amounts[Count.Publishes]++
      amounts[Count.PayloadBytes] += packet.payloadLength
      if ((packet.header & RETAIN) !== 0) amounts[Count.Retained]++
      if (packet.topic !== null) this.topics.push(topicHash(packet.topic))
      return
    }
    const subscribe = readSubscribe(packet)
    if (subscribe !== null) amounts[Count.WideFilters] += subscribe.wildcards + subscribe.widest
    else if (readConnect(packet) !== null) amounts[Count.Connects]++
  }
}
