// One benign connection: which of its frames are there only because somebody attacks.

import { MqttWalker } from '../../src/decode/mqtt.js'
import { TCP_SYN } from '../../src/decode/tcp.js'
import type { Direction, MqttPacket, StreamFrame } from '../../src/types.js'
import { messageDigest } from './ledger.js'
import { WebSocketData } from './web-socket-data.js'

/** For each message that an attacker published, by its digest: when it was published by whom. In order of time. */
export type Provenance = Map<string, { time: number; isAttack: boolean }[]>

const TYPE = Object.freeze({ publish: 3, puback: 4, pubrec: 5, pubrel: 6, pubcomp: 7 })
const QOS_FLAGS = 0x06
const WHOLE_TOPIC = 65_535
const WHOLE_PAYLOAD = 16_777_216
/** A clock's grain between writing down and sending, seconds. */
const GRAIN_SECONDS = 0.005
/** Farther ahead than any window: a number from before its base was known. */
const NOT_YET = 0x4000_0000

interface Stretch {
  from: number
  to: number
}

/** A frame: its own bytes, and those of the other side that it is the first to acknowledge. */
interface Traced extends Stretch {
  number: number
  direction: Direction
  acknowledged: Stretch
}

/** One direction. */
interface Side {
  readonly walker: MqttWalker
  /** Attackers' messages, and answers to them, in order. */
  readonly messages: Stretch[]
  readonly answers: Stretch[]
  /** Sequence number of the first byte. */
  base: number | null
  /** How far the other side has acknowledged. */
  acknowledged: number
  /** Bytes of MQTT since the last packet's end, by their offset among those. */
  recent: { start: number; bytes: Uint8Array }[]
  /** Takes MQTT out of WebSocket frames; null where there are none. */
  readonly webSocket: WebSocketData | null
  /** Where in the TCP stream the last packet ended. */
  ended: number
}

/**
 * Follows a connection whose frames are pushed in the order of the capture. An attack's are the frames
 * that carry a byte of a message of an attacker, and those that carry nothing but acknowledgements of
 * such, of MQTT or TCP.
 */
export class Conversation {
  readonly #sides: Record<Direction, Side>
  readonly #frames: Traced[] = []
  /** Identifiers of attackers' messages that the client has not acknowledged. */
  readonly #pending = new Set<number>()
  #time = 0
  readonly #provenance: Provenance

  /**
   * @param isWebSocket whether MQTT comes in WebSocket frames
   */
  constructor(provenance: Provenance, isWebSocket: boolean) {
    this.#provenance = provenance
    const session = { version: 0 }
    const side = (): Side => ({
      walker: new MqttWalker({ topicCapBytes: WHOLE_TOPIC, payloadCapBytes: WHOLE_PAYLOAD, session }),
      messages: [],
      answers: [],
      base: null,
      acknowledged: 0,
      recent: [],
      webSocket: isWebSocket ? new WebSocketData() : null,
      ended: 0
    })
    this.#sides = { in: side(), out: side() }
  }

  /** Whether one direction could not be followed to its end. */
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
    if (acknowledged.to > acknowledged.from && acknowledged.to < acknowledged.from + NOT_YET)
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

  /** Takes bytes of MQTT, of which the first is at `start` of the TCP stream. */
  #walk(direction: Direction, side: Side, bytes: Uint8Array, start: number): void {
    const { walker } = side
    const offset = walker.offset
    side.recent.push({ start: offset, bytes })
    let last = 0
    walker.push(bytes, packet => {
      last = packet.end
      // What is around a packet, such as the header of a WebSocket frame, is counted as its own.
      const to = start + packet.end - offset
      this.#onPacket(direction, side, packet, { from: side.ended, to })
      side.ended = to
    })
    side.recent = side.recent.filter(one => one.start + one.bytes.length > last)
  }

  /**
   * The frames that the attack caused: with a byte of an attacker's message or, `isAnswer`, with acknowledgements of
   * such.
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

  #onPacket(direction: Direction, side: Side, packet: MqttPacket, stretch: Stretch): void {
    const { header, end } = packet
    const type = header >> 4
    if (type === TYPE.publish) {
      if (direction === 'in') return
      const isAttack = this.#isAttack(packet)
      if (isAttack) side.messages.push(stretch)
      if ((header & QOS_FLAGS) === 0) return
      const id = numberAt(side, end - packet.remainingLength + 2 + (packet.topicLength ?? 0))
      if (isAttack) this.#pending.add(id)
      else this.#pending.delete(id)
    } else if (
      direction === 'in' ? type === TYPE.puback || type === TYPE.pubrec || type === TYPE.pubcomp : type === TYPE.pubrel
    ) {
      const id = numberAt(side, end - packet.remainingLength)
      if (!this.#pending.has(id)) return
      side.answers.push(stretch)
      if (type === TYPE.puback || type === TYPE.pubcomp) this.#pending.delete(id)
    }
  }

  #isAttack({ topic, payload }: MqttPacket): boolean {
    if (topic === null || payload === null) return false
    const publications = this.#provenance.get(messageDigest(topic, payload))
    return publications?.findLast(({ time }) => time <= this.#time + GRAIN_SECONDS)?.isAttack === true
  }
}

/** The number of two bytes at an offset of the stream; -1 where it is not known. */
function numberAt({ recent }: Side, offset: number): number {
  const byteAt = (at: number): number | undefined => {
    const part = recent.find(({ start, bytes }) => start <= at && at < start + bytes.length)
    return part?.bytes[at - part.start]
  }
  const [high, low] = [byteAt(offset), byteAt(offset + 1)]
  return high === undefined || low === undefined ? -1 : (high << 8) | low
}

/** How many bytes of a stretch are in any of others, which are in order. */
function overlap(stretches: readonly Stretch[], from: number, to: number): number {
  // The first that ends after `from`.
  let [low, high] = [0, stretches.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (stretches[middle].to <= from) low = middle + 1
    else high = middle
  }
  let bytes = 0
  for (; low < stretches.length && stretches[low].from < to; low++)
    bytes += Math.min(to, stretches[low].to) - Math.max(from, stretches[low].from)
  return bytes
}
