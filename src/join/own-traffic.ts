// Tells the detection's own messages from everybody else's.

import { TCP_FIN, TCP_RST, TCP_SYN } from '../decode/tcp.js'
import type { Direction, MqttPacket, StreamFrame, TcpStream } from '../types.js'

/** Prefix of every topic the detection publishes to. */
export const OWN_TOPIC_PREFIX = '$SYS/broker/artemis/'
/** Prefix of the topics by which it is asked and answers. */
export const CONTROL_TOPIC_PREFIX = '$CONTROL/artemis/'

const PUBLISH = 3
const OWN_PREFIXES: readonly Uint8Array[] = [OWN_TOPIC_PREFIX, CONTROL_TOPIC_PREFIX].map(prefix => Buffer.from(prefix))

/** What of a packet says whose it is. */
type Sign = Pick<MqttPacket, 'header' | 'topic'>

/**
 * Whether the packet is an alert, status, score or answer on its way to a client. Such packets are not
 * scored: the detection would listen to itself. Only the broker can send them, since what a
 * client publishes under these prefixes goes to nobody.
 */
export function isOwnPacket(
  direction: Direction,
  { header, topic }: Sign,
  prefixes: readonly Uint8Array[] = OWN_PREFIXES
): boolean {
  return (
    direction === 'out' &&
    header >> 4 === PUBLISH &&
    topic !== null &&
    prefixes.some(prefix => topic.length >= prefix.length && prefix.every((byte, i) => byte === topic[i]))
  )
}

/** Sequence numbers of frames in a row that carry nothing but own messages. */
interface Run {
  start: number
  end: number
}

/**
 * Tells which frames of one source carry nothing but own messages, or only acknowledge such frames; to be asked in the
 * order of capture.
 */
export class OwnFrames {
  readonly #runs = new WeakMap<TcpStream, Run>()
  readonly #prefixes: readonly Uint8Array[] | undefined

  constructor(prefixes?: readonly Uint8Array[]) {
    this.#prefixes = prefixes
  }

  /**
   * @param packets those that the frame completes
   * @param begun the one of which it carries a part beyond these; null where there is none, or nobody knows
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
    packets: readonly Sign[],
    begun: Sign | null
  ): boolean {
    const run = this.#runs.get(stream)
    if (direction === 'in') {
      // Sequence numbers go round (RFC 9293, section 3.4).
      return (
        payloadLength === 0 &&
        (flags & (TCP_SYN | TCP_FIN | TCP_RST)) === 0 &&
        run !== undefined &&
        ((acknowledgement - run.start) | 0) > 0 &&
        ((run.end - acknowledgement) | 0) >= 0
      )
    }
    const isOwn = (packet: Sign): boolean => isOwnPacket(direction, packet, this.#prefixes)
    if (
      from === to ||
      (packets.length === 0 && begun === null) ||
      !packets.every(isOwn) ||
      (begun !== null && !isOwn(begun))
    )
      return false
    const end = (sequence + payloadLength) >>> 0
    if (run?.end === sequence) run.end = end
    else this.#runs.set(stream, { start: sequence, end })
    return true
  }
}
