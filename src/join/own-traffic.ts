// Distinguishes the detection's own messages from other traffic.

import { PacketType } from '../decode/packet-types.js'
import { TCP_FIN, TCP_RST, TCP_SYN } from '../decode/tcp.js'
import type { Direction, MqttPacket, StreamFrame, TcpStream } from '../types.js'

/** Prefix of every topic the detection publishes to. */
export const OWN_TOPIC_PREFIX = '$SYS/broker/artemis/'
/** Prefix of the control topics, for requests and responses. */
export const CONTROL_TOPIC_PREFIX = '$CONTROL/artemis/'

const OWN_PREFIXES: readonly Uint8Array[] = [OWN_TOPIC_PREFIX, CONTROL_TOPIC_PREFIX].map(prefix => Buffer.from(prefix))

/** The fields of a packet that identify own messages. */
type HeaderAndTopic = Pick<MqttPacket, 'header' | 'topic'>

/**
 * Whether the packet is an alert, status, score or response on its way to a client. These are not scored, or the
 * detection would score its own output. Only the broker can send them: it does not forward client messages with these
 * prefixes.
 */
export function isOwnPacket(
  direction: Direction,
  { header, topic }: HeaderAndTopic,
  prefixes: readonly Uint8Array[] = OWN_PREFIXES
): boolean {
  return (
    direction === 'out' &&
    header >> 4 === PacketType.PUBLISH &&
    topic !== null &&
    prefixes.some(prefix => topic.length >= prefix.length && prefix.every((byte, i) => byte === topic[i]))
  )
}

/** Sequence number range of consecutive frames with only own messages. */
interface OwnRange {
  start: number
  end: number
}

/**
 * Identifies frames that carry only own messages, or only acknowledge such frames. Frames must be passed in capture
 * order.
 */
export class OwnFrames {
  readonly #ranges = new WeakMap<TcpStream, OwnRange>()
  readonly #prefixes: readonly Uint8Array[] | undefined

  constructor(prefixes?: readonly Uint8Array[]) {
    this.#prefixes = prefixes
  }

  /**
   * @param packets the packets that the frame completes
   * @param partial the incomplete packet at its end; null if none or unknown
   */
  has(
    {
      stream,
      direction,
      from,
      to,
      frame: {
        tcp: { flags, sequence, acknowledgement },
        payloadLength
      }
    }: StreamFrame,
    packets: readonly HeaderAndTopic[],
    partial: HeaderAndTopic | null
  ): boolean {
    const range = this.#ranges.get(stream)
    if (direction === 'in') {
      // Sequence numbers wrap around (RFC 9293, section 3.4).
      return (
        payloadLength === 0 &&
        (flags & (TCP_SYN | TCP_FIN | TCP_RST)) === 0 &&
        range !== undefined &&
        ((acknowledgement - range.start) | 0) > 0 &&
        ((range.end - acknowledgement) | 0) >= 0
      )
    }
    const isOwn = (packet: HeaderAndTopic): boolean => isOwnPacket(direction, packet, this.#prefixes)
    if (
      from === to ||
      (packets.length === 0 && partial === null) ||
      !packets.every(isOwn) ||
      (partial !== null && !isOwn(partial))
    )
      return false
    const end = (sequence + payloadLength) >>> 0
    if (range?.end === sequence) range.end = end
    else this.#ranges.set(stream, { start: sequence, end })
    return true
  }
}
