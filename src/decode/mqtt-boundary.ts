// Resynchronises after a gap: decides whether a segment starts at a packet boundary.
import type { Direction } from '../types.js'
import { PacketType } from './packet-types.js'
import { varintEnd, varintValue } from './varint.js'

const VERSION_5 = 5

/** Valid fixed headers of a packet type [MQTT-2.1.3-1], [MQTT-2.1.4]. */
interface Shape {
  /** Allowed flags; PUBLISH is checked separately. */
  flags: readonly number[]
  /** Smallest and largest remaining length before MQTT 5. */
  smallest: number
  largest: number
  /** Directions in which it may be sent. */
  from: readonly Direction[]
}

const LARGEST_PACKET = 268_435_455
const BOTH: readonly Direction[] = ['in', 'out']

/** By packet type. MQTT 3.1 also sets QoS and DUP in PUBREL, SUBSCRIBE and UNSUBSCRIBE. */
const SHAPES: readonly (Shape | null)[] = [
  null,
  { flags: [0], smallest: 12, largest: LARGEST_PACKET, from: ['in'] },
  { flags: [0], smallest: 2, largest: 2, from: ['out'] },
  { flags: [], smallest: 2, largest: LARGEST_PACKET, from: BOTH },
  { flags: [0], smallest: 2, largest: 2, from: BOTH },
  { flags: [0], smallest: 2, largest: 2, from: BOTH },
  { flags: [2, 10], smallest: 2, largest: 2, from: BOTH },
  { flags: [0], smallest: 2, largest: 2, from: BOTH },
  { flags: [2, 10], smallest: 6, largest: LARGEST_PACKET, from: ['in'] },
  { flags: [0], smallest: 3, largest: LARGEST_PACKET, from: ['out'] },
  { flags: [2, 10], smallest: 5, largest: LARGEST_PACKET, from: ['in'] },
  { flags: [0], smallest: 2, largest: 2, from: ['out'] },
  { flags: [0], smallest: 0, largest: 0, from: ['in'] },
  { flags: [0], smallest: 0, largest: 0, from: ['out'] },
  { flags: [0], smallest: 0, largest: 0, from: ['in'] },
  null
]
/** Types that may have a reason code and properties in MQTT 5: all without a payload except the pings. */
const LONGER_IN_5: ReadonlySet<number> = new Set([
  PacketType.CONNACK,
  PacketType.PUBACK,
  PacketType.PUBREC,
  PacketType.PUBREL,
  PacketType.PUBCOMP,
  PacketType.UNSUBACK,
  PacketType.DISCONNECT,
  PacketType.AUTH
])
const SHAPE_OF_AUTH: Shape = { flags: [0], smallest: 0, largest: 0, from: BOTH }

/**
 * Whether a segment is exactly a sequence of plausible packets. This accepts senders that write whole packets. The
 * middle of a payload passes about once in a million, because type, flags, length, direction and a PUBLISH's topic
 * must all be valid.
 */
export function isBoundaryChain(bytes: Uint8Array, direction: Direction, version: number): boolean {
  let at = 0
  while (at < bytes.length) {
    const next = packetEnd(bytes, at, direction, version)
    if (next === null) return false
    at = next
  }
  return at > 0
}

/** Returns the end of the plausible packet at `at`; null if none starts there or it exceeds the bytes. */
function packetEnd(bytes: Uint8Array, at: number, direction: Direction, version: number): number | null {
  const body = varintEnd(bytes, at + 1)
  if (body < 0) return null
  const remaining = varintValue(bytes, at + 1, body)
  const end = body + remaining
  if (end > bytes.length || !isPlausibleHeader(bytes[at], remaining, direction, version)) return null
  if (bytes[at] >> 4 !== PacketType.PUBLISH) return end
  return isPlausibleTopic(bytes, bytes[at], body, end) ? end : null
}

function isPlausibleHeader(header: number, remaining: number, direction: Direction, version: number): boolean {
  const type = header >> 4
  const flags = header & 0x0f
  const is5 = version === VERSION_5
  const shape = type === PacketType.AUTH && is5 ? SHAPE_OF_AUTH : SHAPES[type]
  if (shape === null) return false
  // In MQTT 5 the broker may also send DISCONNECT.
  if (!shape.from.includes(direction) && !(is5 && type === PacketType.DISCONNECT)) return false
  // QoS 3 does not exist [MQTT-3.3.1-4].
  if (type === PacketType.PUBLISH ? (flags & 6) === 6 : !shape.flags.includes(flags)) return false
  return remaining >= shape.smallest && (remaining <= shape.largest || (is5 && LONGER_IN_5.has(type)))
}

/** Whether the topic name has no wildcard or control character [MQTT-3.3.2-2], [MQTT-1.5.4-2]. */
function isPlausibleTopic(bytes: Uint8Array, header: number, body: number, end: number): boolean {
  const start = body + 2
  const topicEnd = start + ((bytes[body] << 8) | bytes[body + 1])
  const packetId = (header & 0x06) === 0 ? 0 : 2
  if (topicEnd + packetId > end) return false
  for (let i = start; i < topicEnd; i++) {
    const byte = bytes[i]
    if (byte < 0x20 || byte === 0x23 || byte === 0x2b || byte === 0x7f) return false
  }
  return true
}
