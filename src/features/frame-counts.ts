// The amounts that one record adds to the counts of its connection and its address.

import { isInitiated } from '../decode/initiated.js'
import { isMalformed, isRefusal, readConnect, readSubscribe } from '../decode/mqtt-facts.js'
import { PacketType } from '../decode/packet-types.js'
import { TCP_RST, TCP_SYN } from '../decode/tcp.js'
import type { Direction, MqttPacket, PartialPacket } from '../types.js'
import { topicHash } from './payload-sample.js'

/**
 * Counts of connections and addresses. They cover what the client initiates. Received messages and responses are caused
 * by others: a flood would otherwise affect the counts of all subscribers.
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
  /** Of addresses only, updated when a connection changes state. */
  Opened: 12,
  HalfOpen: 13,
  ClosedByBroker: 14
})

/** Number of counts. */
export const COUNTS = 15

const RETAIN = 1

/** Link and TCP data of a frame. */
export interface FrameSummary {
  /** Segment payload, bytes. */
  length: number
  /** TCP flags, sequence number and acknowledgement number. */
  flags: number
  sequence: number
  acknowledgement: number
  /** Offset up to which the direction's stream is contiguous; null if its packets cannot be decoded. */
  to: number | null
}

/** Input of the context for one record. */
export interface RecordSummary {
  /** Epoch seconds. */
  time: number
  direction: Direction
  packets: readonly MqttPacket[]
  /** The incomplete packet at its end; null if none or unknown. */
  partial: PartialPacket | null
  /** null without a tap. */
  frame: FrameSummary | null
}

/** Packet types that only a broker sends, one bit each. */
const BROKER_ONLY =
  (1 << PacketType.CONNACK) | (1 << PacketType.SUBACK) | (1 << PacketType.UNSUBACK) | (1 << PacketType.PINGRESP)

/** Whether a client's packet is malformed or of a type that clients must not send. */
export function isProtocolViolation(packet: MqttPacket): boolean {
  return isMalformed(packet) || (BROKER_ONLY & (1 << (packet.header >> 4))) !== 0
}

function countInitiated(packets: readonly MqttPacket[]): number {
  let initiated = 0
  for (const packet of packets) if (isInitiated(packet)) initiated++
  return initiated
}

/**
 * Whether a client's frame is more than a response: it opens a connection, or carries at least part of a packet that
 * the client initiated.
 */
function isInitiatedFrame({ packets, frame }: RecordSummary): boolean {
  if (packets.length > 0) return packets.some(isInitiated)
  return frame !== null && (frame.length > 0 || (frame.flags & TCP_SYN) !== 0)
}

/** The amounts of one record. */
export class FrameCounts {
  readonly amounts = new Float64Array(COUNTS)
  /** Hashes of the topics that the client published to. */
  readonly topics: number[] = []

  /** Replaces the amounts with those of a record. */
  set(summary: RecordSummary): void {
    const { direction, packets, frame } = summary
    const { amounts } = this
    amounts.fill(0)
    this.topics.length = 0
    if (frame !== null && (frame.flags & TCP_RST) !== 0) amounts[Count.Resets] = 1
    if (direction === 'out') {
      for (const packet of packets) if (isRefusal(packet)) amounts[Count.Refusals]++
      return
    }
    const initiated = countInitiated(packets)
    if (frame !== null && isInitiatedFrame(summary)) {
      amounts[Count.Frames] = 1
      amounts[Count.Bytes] = frame.length
      if (packets.length === 0 && frame.length > 0) amounts[Count.Fragments] = 1
    }
    amounts[Count.Packets] = initiated
    for (const packet of packets) {
      if (frame === null && isInitiated(packet)) amounts[Count.Bytes] += packet.size
      this.#addClientPacket(packet)
    }
  }

  #addClientPacket(packet: MqttPacket): void {
    const { amounts } = this
    if (isProtocolViolation(packet)) amounts[Count.Malformed]++
    if (packet.header >> 4 === PacketType.PUBLISH) {
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
