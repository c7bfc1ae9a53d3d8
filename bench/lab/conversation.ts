// Finds the frames of a benign connection that an attack caused.

import { MqttWalker } from '../../src/decode/mqtt.js'
import { TCP_SYN } from '../../src/decode/tcp.js'
import type { Direction, MqttPacket, StreamFrame } from '../../src/types.js'
import { messageDigest } from './message-log.js'
import { WebSocketData } from './web-socket-data.js'

/** Publications of each attacker's message, by digest: time and publisher, sorted by time. */
export type Publications = Map<string, { time: number; isAttack: boolean }[]>

const TYPE = Object.freeze({ publish: 3, puback: 4, pubrec: 5, pubrel: 6, pubcomp: 7 })
const QOS_FLAGS = 0x06
const WHOLE_TOPIC = 65_535
const WHOLE_PAYLOAD = 16_777_216
/** Clock tolerance between logging and sending, seconds. */
const CLOCK_TOLERANCE_SECONDS = 0.005
/** Beyond any window: the number precedes a known base. */
const MAX_ADVANCE = 0x4000_0000

interface ByteRange {
  from: number
  to: number
}

/** A frame: its byte range, and the range of the other side that it acknowledges first. */
interface FrameRanges extends ByteRange {
  number: number
  direction: Direction
  acknowledged: ByteRange
}

/** State of one direction. */
interface Side {
  readonly walker: MqttWalker
  /** Byte ranges of attackers' messages and of acknowledgements of them, in order. */
  readonly messages: ByteRange[]
  readonly answers: ByteRange[]
  /** Sequence number of the first byte. */
  base: number | null
  /** Offset acknowledged by the other side. */
  acknowledged: number
  /** MQTT bytes since the end of the last packet, by MQTT offset. */
  recent: { start: number; bytes: Uint8Array }[]
  /** Extracts MQTT from WebSocket frames; null for plain TCP. */
  readonly webSocket: WebSocketData | null
  /** Offset in the TCP stream where the last packet ended. */
  lastEnd: number
}

/**
 * Follows a connection; push its frames in capture order. Attack frames carry a byte of an attacker's message, or
 * nothing but MQTT or TCP acknowledgements of such messages.
 */
export class Conversation {
  readonly #sides: Record<Direction, Side>
  readonly #frames: FrameRanges[] = []
  /** Packet identifiers of attackers' messages that the client has not acknowledged. */
  readonly #pending = new Set<number>()
  #time = 0
  readonly #provenance: Publications

  /** @param isWebSocket whether MQTT is carried in WebSocket frames */
  constructor(publications: Publications, isWebSocket: boolean) {
    this.#provenance = publications
    const session = { version: 0 }
    const side = (): Side => ({
      walker: new MqttWalker({ topicCapBytes: WHOLE_TOPIC, payloadCapBytes: WHOLE_PAYLOAD, session }),
      messages: [],
      answers: [],
      base: null,
      acknowledged: 0,
      recent: [],
      webSocket: isWebSocket ? new WebSocketData() : null,
      lastEnd: 0
    })
    this.#sides = { in: side(), out: side() }
  }

  /** Whether decoding of a direction failed. */
  get lost(): boolean {
    return Object.values(this.#sides).some(({ walker }) => walker.lost || walker.malformed)
  }

  push({ frame, direction, from, chunks }: StreamFrame): void {
    const { number, tcp, payloadLength } = frame
    this.#time = frame.seconds + frame.nanoseconds / 1e9
    const [side, other] = direction === 'in' ? [this.#sides.in, this.#sides.out] : [this.#sides.out, this.#sides.in]
    if ((tcp.flags & TCP_SYN) !== 0) side.base = (tcp.sequence + 1) >>> 0
    else if (chunks.length > 0) side.base ??= (tcp.sequence - from) >>> 0
    const start = side.base === null ? 0 : (tcp.sequence - side.base) >>> 0
    const acknowledged = {
      from: other.acknowledged,
      to: other.base === null ? 0 : (tcp.acknowledgement - other.base) >>> 0
    }
    if (acknowledged.to > acknowledged.from && acknowledged.to < acknowledged.from + MAX_ADVANCE)
      other.acknowledged = acknowledged.to
    else acknowledged.to = acknowledged.from
    this.#frames.push({ number, direction, from: start, to: start + payloadLength, acknowledged })

    for (const { start, bytes, length } of chunks) {
      if (bytes === null) {
        side.walker.skip(length)
        continue
      }
      if (side.webSocket === null) this.#walk(direction, side, bytes, start)
      else
        side.webSocket.push(bytes, (data, at) => {
          this.#walk(direction, side, data, start + at)
        })
    }
  }

  /** Decodes MQTT bytes; the first is at `start` of the TCP stream. */
  #walk(direction: Direction, side: Side, bytes: Uint8Array, start: number): void {
    const { walker } = side
    const offset = walker.offset
    side.recent.push({ start: offset, bytes })
    let last = 0
    walker.push(bytes, packet => {
      last = packet.end
      // Bytes around a packet, such as a WebSocket frame header, count as part of it.
      const to = start + packet.end - offset
      this.#onPacket(direction, side, packet, { from: side.lastEnd, to })
      side.lastEnd = to
    })
    side.recent = side.recent.filter(one => one.start + one.bytes.length > last)
  }

  /**
   * Returns the frames that the attack caused: with a byte of an attacker's message or, with `isAnswer`, with
   * acknowledgements of such messages.
   */
  *attackFrames(): Generator<{ number: number; isAnswer: boolean }> {
    for (const { number, direction, from, to, acknowledged } of this.#frames) {
      const [side, other] = direction === 'in' ? [this.#sides.in, this.#sides.out] : [this.#sides.out, this.#sides.in]
      if (to > from) {
        if (overlap(side.messages, from, to) > 0) yield { number, isAnswer: false }
        else if (overlap(side.answers, from, to) === to - from) yield { number, isAnswer: true }
      } else if (
        overlap(other.messages, acknowledged.from, acknowledged.to) +
          overlap(other.answers, acknowledged.from, acknowledged.to) >
        0
      ) {
        yield { number, isAnswer: true }
      }
    }
  }

  #onPacket(direction: Direction, side: Side, packet: MqttPacket, range: ByteRange): void {
    const { header, end } = packet
    const type = header >> 4
    if (type === TYPE.publish) {
      if (direction === 'in') return
      const isAttack = this.#isAttack(packet)
      if (isAttack) side.messages.push(range)
      if ((header & QOS_FLAGS) === 0) return
      const id = numberAt(side, end - packet.remainingLength + 2 + (packet.topicLength ?? 0))
      if (isAttack) this.#pending.add(id)
      else this.#pending.delete(id)
    } else if (
      direction === 'in' ? type === TYPE.puback || type === TYPE.pubrec || type === TYPE.pubcomp : type === TYPE.pubrel
    ) {
      const id = numberAt(side, end - packet.remainingLength)
      if (!this.#pending.has(id)) return
      side.answers.push(range)
      if (type === TYPE.puback || type === TYPE.pubcomp) this.#pending.delete(id)
    }
  }

  #isAttack({ topic, payload }: MqttPacket): boolean {
    if (topic === null || payload === null) return false
    const publications = this.#provenance.get(messageDigest(topic, payload))
    return publications?.findLast(({ time }) => time <= this.#time + CLOCK_TOLERANCE_SECONDS)?.isAttack === true
  }
}

/** Returns the two-byte number at an offset of the stream; -1 if it is not known. */
function numberAt({ recent }: Side, offset: number): number {
  const byteAt = (at: number): number | undefined => {
    const part = recent.find(({ start, bytes }) => start <= at && at < start + bytes.length)
    return part?.bytes[at - part.start]
  }
  const [high, low] = [byteAt(offset), byteAt(offset + 1)]
  return high === undefined || low === undefined ? -1 : (high << 8) | low
}

/** Returns how many bytes of a range are in any of the sorted ranges. */
function overlap(ranges: readonly ByteRange[], from: number, to: number): number {
  // Find the first range that ends after `from`.
  let [low, high] = [0, ranges.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ranges[middle].to <= from) low = middle + 1
    else high = middle
  }
  let bytes = 0
  for (; low < ranges.length && ranges[low].from < to; low++)
    bytes += Math.min(to, ranges[low].to) - Math.max(from, ranges[low].from)
  return bytes
}
