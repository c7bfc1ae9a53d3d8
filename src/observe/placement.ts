// Computes TCP stream offsets for the packets of one direction inside TLS records or WebSocket frames.

import { Queue } from '../queue.js'
import type { Direction, MqttPacket } from '../types.js'
import type { UnplacedReason } from './entries.js'

/** Maximum number of packets that wait to be placed; more mean that placement does not work. */
const MAX_WAITING = 1_000

/** Events of a connection, with offsets in its TCP stream. */
export interface PlacedListener {
  /** As `ByteListener.onPacket`; `last` if no later packet ends at the same offset. */
  onPacket(direction: Direction, packet: MqttPacket, ordinal: number, last: boolean): void
  onMark(direction: Direction, begin: number, offset: number, ordinal: number): void
  /** Offsets are invalid from now on. */
  onUnplaced(reason: UnplacedReason): void
}

/** A TLS record or WebSocket frame: its end in the MQTT bytes, and its end in the stream after the handshake. */
interface Unit {
  readonly plainEnd: number
  readonly rawEnd: number
}

/**
 * Converts offsets in the MQTT bytes of one direction to offsets in its TCP stream. A packet ends where the unit with
 * its last byte ends, because the peer cannot read it earlier. Packets wait until that unit and the length of the
 * handshake are known.
 */
export class Placement {
  readonly #units = new Queue<Unit>()
  #plain = 0
  #raw = 0
  #base: number | undefined
  #waiting: { packet: MqttPacket; ordinal: number }[] = []
  /** Offset up to which the MQTT bytes were parsed, and the number of packets so far. */
  #parsed = 0
  #packets = 0
  #boundary = true
  #marked = 0
  #unplaced = false
  readonly #direction: Direction
  readonly #listener: PlacedListener
  readonly #onFailure: () => void

  constructor(direction: Direction, listener: PlacedListener, onFailure: () => void) {
    this.#direction = direction
    this.#listener = listener
    this.#onFailure = onFailure
  }

  /** Whether the MQTT bytes so far end at a packet boundary. */
  get boundary(): boolean {
    return this.#boundary
  }

  /** Total length of the units so far in the TCP stream, bytes. */
  get length(): number {
    return this.#raw
  }

  /** Sets the offset of the first unit in the TCP stream. */
  start(base: number): void {
    this.#base = base
    this.#advance()
  }

  /** Adds a unit of `rawLength` bytes with the next `plainLength` bytes of MQTT. */
  unit(plainLength: number, rawLength: number): void {
    if (this.#unplaced) return
    this.#plain += plainLength
    this.#raw += rawLength
    this.#units.push({ plainEnd: this.#plain, rawEnd: this.#raw })
    if (plainLength === 0 || this.#waiting.length > 0) this.#advance()
  }

  /** Reports that all packets up to this offset of the TCP stream were reported, unless some wait. */
  reach(offset: number): void {
    if (this.#unplaced || this.#waiting.length > 0 || offset <= this.#marked) return
    this.#marked = offset
    this.#listener.onMark(this.#direction, offset, offset, this.#packets)
  }

  /** Adds a packet whose `end` is an offset in the MQTT bytes. */
  packet(packet: MqttPacket, ordinal: number): void {
    if (this.#unplaced) {
      this.#listener.onPacket(this.#direction, packet, ordinal, true)
      return
    }
    this.#parsed = packet.end
    this.#packets = (ordinal + 1) >>> 0
    this.#boundary = true
    if (this.#waiting.length === 0 && this.#place(packet, ordinal)) return
    const { topic, payload } = packet
    // Copied: the bytes are valid only during the call.
    this.#waiting.push({
      packet: { ...packet, topic: topic && Uint8Array.from(topic), payload: payload && Uint8Array.from(payload) },
      ordinal
    })
    if (this.#waiting.length > MAX_WAITING) this.#onFailure()
  }

  /** Records that the MQTT bytes up to `offset` were parsed, inside a packet. */
  mark(offset: number): void {
    if (this.#unplaced) return
    this.#parsed = offset
    this.#boundary = false
    this.#advance()
  }

  /** Stops placing packets; reports the waiting ones unplaced. */
  stop(): void {
    this.#unplaced = true
    this.#units.drain()
    for (const { packet, ordinal } of this.#waiting.splice(0))
      this.#listener.onPacket(this.#direction, packet, ordinal, true)
  }

  #place(packet: MqttPacket, ordinal: number): boolean {
    if (this.#base === undefined) return false
    const units = this.#units
    let unit = units.first
    for (; unit !== undefined && unit.plainEnd < packet.end; unit = units.first) units.shift()
    if (unit === undefined) return false
    const end = this.#base + unit.rawEnd
    const last = unit.plainEnd === packet.end
    if (last) {
      units.shift()
      this.#marked = end
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
    const units = this.#units
    for (let unit = units.first; unit !== undefined && unit.plainEnd <= this.#parsed; unit = units.first)
      reached = units.shift().rawEnd
    if (reached > 0) this.reach(this.#base + reached)
  }
}
