// Places the packets of one direction in its TCP stream where they travel inside TLS records or WebSocket frames.

import type { Direction, MqttPacket } from '../types.js'
import type { UnplacedReason } from './entries.js'

/** Packets that may wait to be placed; more mean that what carries them is not understood. */
const WAITING_CAP = 1_000

/** What is told of a connection once offsets are those of its TCP stream. */
export interface PlacedListener {
  /** As `ByteListener.onPacket`; `last` where no packet that follows ends at the same offset. */
  onPacket(direction: Direction, packet: MqttPacket, ordinal: number, last: boolean): void
  onMark(direction: Direction, begin: number, offset: number, ordinal: number): void
  /** From here on offsets mean nothing. */
  onUnplaced(reason: UnplacedReason): void
}

/** A TLS record or WebSocket frame: where it ends among the bytes of MQTT, and in the stream after the handshake. */
interface Unit {
  readonly plainEnd: number
  readonly rawEnd: number
}

/**
 * Turns offsets in the MQTT bytes of one direction into offsets in its TCP stream: a packet ends where
 * the unit ends that holds its last byte, because only then can the other side read it. Until both
 * that unit and the length of the handshake are known, packets wait.
 */
export class Placement {
  #units: Unit[] = []
  #head = 0
  #plain = 0
  #raw = 0
  #base: number | undefined
  #waiting: { packet: MqttPacket; ordinal: number }[] = []
  /** Up to where the MQTT bytes have been walked over, and how many packets that gave. */
  #walked = 0
  #packets = 0
  #between = true
  #marked = 0
  #unplaced = false
  readonly #direction: Direction
  readonly #listener: PlacedListener
  readonly #onTrouble: () => void

  constructor(direction: Direction, listener: PlacedListener, onTrouble: () => void) {
    this.#direction = direction
    this.#listener = listener
    this.#onTrouble = onTrouble
  }

  /** Whether the MQTT bytes so far end with a packet. */
  get boundary(): boolean {
    return this.#between
  }

  /** The length of all units so far, bytes of the TCP stream. */
  get length(): number {
    return this.#raw
  }

  /** The units begin at this offset of the TCP stream. */
  start(base: number): void {
    this.#base = base
    this.#advance()
  }

  /** A unit of `rawLength` bytes carries the next `plainLength` bytes of MQTT. */
  unit(plainLength: number, rawLength: number): void {
    if (this.#unplaced) return
    this.#plain += plainLength
    this.#raw += rawLength
    this.#units.push({ plainEnd: this.#plain, rawEnd: this.#raw })
    if (plainLength === 0 || this.#waiting.length > 0) this.#advance()
  }

  /** Nothing that ends up to this offset of the TCP stream is left to be told. */
  reach(offset: number): void {
    if (this.#unplaced || this.#waiting.length > 0 || offset <= this.#marked) return
    this.#marked = offset
    this.#listener.onMark(this.#direction, offset, offset, this.#packets)
  }

  /** A packet whose `end` counts the bytes of MQTT. */
  packet(packet: MqttPacket, ordinal: number): void {
    if (this.#unplaced) {
      this.#listener.onPacket(this.#direction, packet, ordinal, true)
      return
    }
    this.#walked = packet.end
    this.#packets = (ordinal + 1) >>> 0
    this.#between = true
    if (this.#waiting.length === 0 && this.#place(packet, ordinal)) return
    const { topic, payload } = packet
    // Its bytes are only lent.
    this.#waiting.push({
      packet: { ...packet, topic: topic && Uint8Array.from(topic), payload: payload && Uint8Array.from(payload) },
      ordinal
    })
    if (this.#waiting.length > WAITING_CAP) this.#onTrouble()
  }

  /** The MQTT bytes up to `offset` went by, in the middle of a packet. */
  mark(offset: number): void {
    if (this.#unplaced) return
    this.#walked = offset
    this.#between = false
    this.#advance()
  }

  /** No packet can be placed from here on; those that wait are let go as they are. */
  stop(): void {
    this.#unplaced = true
    this.#units = []
    for (const { packet, ordinal } of this.#waiting.splice(0))
      this.#listener.onPacket(this.#direction, packet, ordinal, true)
  }

  #place(packet: MqttPacket, ordinal: number): boolean {
    if (this.#base === undefined) return false
    while (this.#head < this.#units.length && this.#units[this.#head].plainEnd < packet.end) this.#head++
    if (this.#head === this.#units.length) {
      this.#compact()
      return false
    }
    const { plainEnd, rawEnd } = this.#units[this.#head]
    const end = this.#base + rawEnd
    const last = plainEnd === packet.end
    if (last) {
      this.#head++
      this.#marked = end
      this.#compact()
    }
    this.#listener.onPacket(this.#direction, { ...packet, end }, ordinal, last)
    return true
  }

  #advance(): void {
    if (this.#base === undefined) return
    let placed = 0
    while (placed < this.#waiting.length && this.#place(this.#waiting[placed].packet, this.#waiting[placed].ordinal))
      placed++
    if (placed > 0) this.#waiting.splice(0, placed)
    if (this.#waiting.length > 0) return
    let reached = 0
    while (this.#head < this.#units.length && this.#units[this.#head].plainEnd <= this.#walked)
      reached = this.#units[this.#head++].rawEnd
    this.#compact()
    if (reached > 0) this.reach(this.#base + reached)
  }

  #compact(): void {
    if (this.#head === this.#units.length) {
      this.#units.length = 0
      this.#head = 0
    } else if (this.#head > 256 && this.#head * 2 > this.#units.length) {
      this.#units = this.#units.slice(this.#head)
      this.#head = 0
    }
  }
}
