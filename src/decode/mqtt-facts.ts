// Facts about the bodies of control packets that the features need, packed into one number.

import type { MqttPacket } from '../types.js'
import { PacketType } from './packet-types.js'

const HASH = 0x23
const PLUS = 0x2b
/** Largest value of a byte, and its mask. */
const MAX_BYTE = 0xff

/** The body ends inside a field, or the protocol name of a CONNECT is unknown. */
const MALFORMED = 1
const WILL = 2
const KEEP_ALIVE_SHIFT = 8
const CODE_SHIFT = 8
const PACKET_ID_SHIFT = 8
const FILTERS_SHIFT = 8
const WILDCARDS_SHIFT = 16
const WIDEST_SHIFT = 24

/** Facts of a CONNECT. */
export interface ConnectFacts {
  /** Seconds; 0 disables it [MQTT-3.1.2.10]. */
  keepAlive: number
  will: boolean
}

/** Facts of a SUBSCRIBE; each is a count of up to 255. */
export interface SubscribeFacts {
  filters: number
  /** Filters that contain `#` or `+`. */
  wildcards: number
  /** Filters that start with a wildcard or with `$`: they match everything or the broker's own topics. */
  widest: number
}

/** Packs the facts of a CONNECT; `malformedFacts` can be applied to all facts. */
export function connectFacts({ keepAlive, will }: ConnectFacts): number {
  return (keepAlive << KEEP_ALIVE_SHIFT) | (will ? WILL : 0)
}

/** @param code return code of MQTT 3 or reason code of MQTT 5, a byte */
export function connackFacts(code: number): number {
  return code << CODE_SHIFT
}

export function packetIdFacts(id: number): number {
  return id << PACKET_ID_SHIFT
}

export function subscribeFacts({ filters, wildcards, widest }: SubscribeFacts): number {
  return (
    ((Math.min(filters, MAX_BYTE) << FILTERS_SHIFT) |
      (Math.min(wildcards, MAX_BYTE) << WILDCARDS_SHIFT) |
      (Math.min(widest, MAX_BYTE) << WIDEST_SHIFT)) >>>
    0
  )
}

export function malformedFacts(facts: number): number {
  return (facts | MALFORMED) >>> 0
}

/**
 * Whether a packet is malformed: the body ends inside a field, the first byte is invalid [MQTT-2.2.2-2], or the topic
 * of a PUBLISH has a wildcard or a null character [MQTT-3.3.2-2, MQTT-1.5.4-2].
 */
export function isMalformed({ header, facts, topic }: Pick<MqttPacket, 'header' | 'facts' | 'topic'>): boolean {
  if ((facts & MALFORMED) !== 0 || !isHeaderValid(header)) return true
  return (
    header >> 4 === PacketType.PUBLISH &&
    topic !== null &&
    topic.some(byte => byte === HASH || byte === PLUS || byte === 0)
  )
}

/** Reads a CONNECT; null for other packets. */
export function readConnect({ header, facts }: Pick<MqttPacket, 'header' | 'facts'>): ConnectFacts | null {
  return header >> 4 === PacketType.CONNECT
    ? { keepAlive: (facts >>> KEEP_ALIVE_SHIFT) & 0xffff, will: (facts & WILL) !== 0 }
    : null
}

/** Reads the packet identifier of a PUBLISH, PUBACK, PUBREC, PUBREL or PUBCOMP; 0 if none. */
export function readPacketId({ header, facts }: Pick<MqttPacket, 'header' | 'facts'>): number {
  const type = header >> 4
  return type >= PacketType.PUBLISH && type <= PacketType.PUBCOMP ? (facts >>> PACKET_ID_SHIFT) & 0xffff : 0
}

/** Whether a packet is a CONNACK that refuses the connection. */
export function isRefusal({ header, facts }: Pick<MqttPacket, 'header' | 'facts'>): boolean {
  return header >> 4 === PacketType.CONNACK && ((facts >>> CODE_SHIFT) & MAX_BYTE) !== 0
}

/** Reads a SUBSCRIBE; null for other packets. */
export function readSubscribe({ header, facts }: Pick<MqttPacket, 'header' | 'facts'>): SubscribeFacts | null {
  if (header >> 4 !== PacketType.SUBSCRIBE) return null
  return {
    filters: (facts >>> FILTERS_SHIFT) & MAX_BYTE,
    wildcards: (facts >>> WILDCARDS_SHIFT) & MAX_BYTE,
    widest: (facts >>> WIDEST_SHIFT) & MAX_BYTE
  }
}

/** Required flags of each type, MQTT 3.1.1 table 2.2; except PUBLISH. */
const FLAGS: readonly number[] = [-1, 0, 0, -1, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0]
const QOS_3 = 6
const DUP_FLAG = 8

/** Whether type and flags of a fixed header are valid; MQTT 3.1 sets DUP on other types than PUBLISH, too. */
function isHeaderValid(header: number): boolean {
  const type = header >> 4
  if (type === PacketType.PUBLISH) return (header & QOS_3) !== QOS_3
  return FLAGS[type] === (header & 0x0f & ~DUP_FLAG)
}
