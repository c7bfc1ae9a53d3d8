// The control packets of one direction that wait for the frames which carry them.

import type { MarkEntry, PacketEntry } from '../observe/entries.js'
import type { MqttPacket } from '../types.js'

/** A packet and when it came. */
export interface WaitingPacket {
  packet: MqttPacket
  /** When the broker saw it, epoch milliseconds. */
  timeMs: number
  /** When it arrived here, by this thread's clock. */
  arrivedAtMs: number
}

/** What {@link PacketQueue.take} found. */
export interface TakenPackets {
  /** The packets that end in (from, to], in order. */
  packets: MqttPacket[]
  /** Packets that end at or before `from`: their frame was given up earlier. */
  late: MqttPacket[]
  /** Whether every packet of the stretch was told: an entry that was dropped leaves a hole. */
  whole: boolean
}

/** Packets in stream order, the watermark up to which everything is told, and the holes that dropped entries left. */
export class PacketQueue {
  /** Everything that ends at or before this offset has been told. */
  watermark = 0
  #waiting: WaitingPacket[] = []
  #head = 0
  /** No packet that ends up to here is missing without a hole. */
  #toldEnd = 0
  /** The ordinal of the next packet, if none is dropped. */
  #expected = 0
  #holes: { start: number; end: number }[] = []
  #stalledUntil = 0

  /** Packets waiting. */
  get length(): number {
    return this.#waiting.length - this.#head
  }

  /** Whether frames need not wait: the broker is behind bytes that were given up. */
  get stalled(): boolean {
    return this.watermark < this.#stalledUntil
  }

  /** The first packet that waits. */
  get first(): MqttPacket | null {
    return this.length === 0 ? null : this.#waiting[this.#head].packet
  }

  /** When the oldest waiting packet came; infinity where none waits. */
  get oldestArrivalMs(): number {
    return this.length === 0 ? Infinity : this.#waiting[this.#head].arrivedAtMs
  }

  /**
   * @param begin where packets that were dropped before this one may end at the latest
   */
  push({ packet, time, ordinal, last }: PacketEntry, begin: number, arrivedAtMs: number): void {
    this.#note(ordinal, begin)
    this.#expected = (ordinal + 1) >>> 0
    // Another packet may end at the same offset: all that is told is what ends before.
    this.#toldEnd = Math.max(this.#toldEnd, last ? packet.end : packet.end - 1)
    if (last) this.watermark = Math.max(this.watermark, packet.end)
    this.#waiting.push({ packet, timeMs: time, arrivedAtMs })
  }

  /**
   * Takes note of a packet that does not wait for a frame.
   *
   * @returns whether none was dropped before it
   */
  pass({ packet, ordinal, last }: PacketEntry): boolean {
    const whole = ordinal === this.#expected
    this.#expected = (ordinal + 1) >>> 0
    this.#toldEnd = Math.max(this.#toldEnd, last ? packet.end : packet.end - 1)
    if (last) this.watermark = Math.max(this.watermark, packet.end)
    this.#holes = []
    return whole
  }

  /** Bytes up to `offset` went by, and no packet that ends between `begin` and there is left to be told. */
  mark({ begin, offset, ordinal }: MarkEntry): void {
    this.#note(ordinal, begin)
    this.#expected = ordinal
    this.#toldEnd = Math.max(this.#toldEnd, begin)
    this.watermark = Math.max(this.watermark, offset)
  }

  /** Frames up to `offset` are given up: later ones wait again once the broker has come that far. */
  stall(offset: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, offset)
  }

  /** Removes the packets up to `to`. */
  take(from: number, to: number): TakenPackets {
    const packets: MqttPacket[] = []
    const late: MqttPacket[] = []
    while (this.length > 0 && this.#waiting[this.#head].packet.end <= to) {
      const { packet } = this.#waiting[this.#head++]
      if (packet.end > from) packets.push(packet)
      else late.push(packet)
    }
    this.#compact()
    const whole = !this.#holes.some(hole => hole.start < to && hole.end > from)
    if (this.#holes.length > 0) this.#holes = this.#holes.filter(hole => hole.end > to)
    return { packets, late, whole }
  }

  /** Removes and returns everything that waits. */
  drain(): WaitingPacket[] {
    const all = this.#waiting.slice(this.#head)
    this.#waiting = []
    this.#head = 0
    this.#holes = []
    return all
  }

  /** The packets between the last one told and this ordinal were dropped on the way; they end at `begin` or before. */
  #note(ordinal: number, begin: number): void {
    if (ordinal === this.#expected) return
    const last = this.#holes.at(-1)
    if (last?.end === this.#toldEnd) last.end = begin
    else this.#holes.push({ start: this.#toldEnd, end: begin })
    this.#toldEnd = begin
  }

  #compact(): void {
    if (this.#head === this.#waiting.length) {
      this.#waiting.length = 0
      this.#head = 0
    } else if (this.#head > 256 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    }
  }
}
