// What one record adds to the counts of its connection and its address, tallied once for both.

import { isMalformed, isRefusal, readConnect, readSubscribe } from '../decode/mqtt-facts.js'
import { TCP_RST } from '../decode/tcp.js'
import type { Direction, MqttPacket } from '../types.js'
import { topicHash } from './payload-sample.js'

/** Counts of connections and addresses; up is from client to broker. */
export const Count = Object.freeze({
  FramesUp: 0,
  FramesDown: 1,
  BytesUp: 2,
  BytesDown: 3,
  PacketsUp: 4,
  PacketsDown: 5,
  PublishesUp: 6,
  Subscribes: 7,
  Connects: 8,
  Refusals: 9,
  WideFilters: 10,
  Malformed: 11,
  Retained: 12,
  PayloadBytes: 13,
  /** Frames that carry bytes and complete no packet. */
  Fragments: 14,
  Resets: 15,
  /** Of addresses only, counted when the connection changes. */
  Opened: 16,
  HalfOpen: 17,
  ClosedByBroker: 18
})

/** How many counts there are. */
export const COUNTS = 19

const PUBLISH = 3
const RETAIN = 1

/** What the wire says of a frame. */
export interface FrameSight {
  /** Segment payload, bytes. */
  length: number
  /** TCP flags. */
  flags: number
  /** Offset up to which the direction's stream is contiguous; null where its packets cannot be read. */
  to: number | null
}

/** A record as the context sees it. */
export interface Sight {
  /** Epoch seconds. */
  time: number
  direction: Direction
  packets: readonly MqttPacket[]
  /** null where there is no tap. */
  frame: FrameSight | null
}

/** Types that a client never sends: CONNACK, SUBACK, UNSUBACK, PINGRESP. */
const BROKER_ONLY = (1 << 2) | (1 << 9) | (1 << 11) | (1 << 13)

/** Whether a client's packet is not as it must be. */
export function isStrange (packet: MqttPacket): boolean {
  return isMalformed(packet) || (BROKER_ONLY & (1 << (packet.header >> 4))) !== 0
}

/** The amounts of one record. */
export class Tally {
  readonly amounts = new Float64Array(COUNTS)
  /** Hashes of the topics that the client published to. */
  readonly topics: number[] = []

  /** Tallies a record, in place of the one before. */
  take ({ direction, packets, frame }: Sight): void {
    const { amounts } = this
    const up = direction === 'in'
    amounts.fill(0)
    this.topics.length = 0
    if (frame !== null) {
      amounts[up ? Count.FramesUp : Count.FramesDown] = 1
      amounts[up ? Count.BytesUp : Count.BytesDown] = frame.length
      if (frame.length > 0 && packets.length === 0) amounts[Count.Fragments] = 1
      if ((frame.flags & TCP_RST) !== 0) amounts[Count.Resets] = 1
    }
    amounts[up ? Count.PacketsUp : Count.PacketsDown] = packets.length
    for (const packet of packets) {
      if (frame === null) amounts[up ? Count.BytesUp : Count.BytesDown] += packet.size
      if (up) this.#takeUp(packet)
      else if (isRefusal(packet)) amounts[Count.Refusals]++
    }
  }

  #takeUp (packet: MqttPacket): void {
    const { amounts } = this
    if (isStrange(packet)) amounts[Count.Malformed]++
    if (packet.header >> 4 === PUBLISH) {
      amounts[Count.PublishesUp]++
      amounts[Count.PayloadBytes] += packet.payloadLength
      if ((packet.header & RETAIN) !== 0) amounts[Count.Retained]++
      if (packet.topic !== null) this.topics.push(topicHash(packet.topic))
      return
    }
    const subscribe = readSubscribe(packet)
    if (subscribe !== null) {
      amounts[Count.Subscribes]++
      amounts[Count.WideFilters] += subscribe.wildcards + subscribe.widest
    } else if (readConnect(packet) !== null) {
      amounts[Count.Connects]++
    }
  }
}
