// The control packets of one direction that wait for their frames.

import type { MarkEntry, PacketEntry } from '../observe/entries.js'
import { Queue } from '../queue.js'
import type { MqttPacket } from '../types.js'

/** A packet and its times. */
export interface WaitingPacket {
  packet: MqttPacket
  /** When the broker processed it, epoch milliseconds. */
  timeMs: number
  /** When its entry arrived, by this thread's clock. */
  arrivedAtMs: number
}

/** Result of {@link PacketQueue.take}. */
export interface TakenPackets {
  /** The packets that end in (from, to], in order. */
  packets: MqttPacket[]
  /** Packets that end at or before `from`: their frame was given up earlier. */
  late: MqttPacket[]
  /** Whether all packets of the range are known. A dropped entry leaves a gap. */
  complete: boolean
}

/** Packets in stream order, the watermark up to which all packets are known, and the gaps left by dropped entries. */
export class PacketQueue {
  /** All packets that end at or before this offset are known. */
  watermark = 0
  readonly #waiting = new Queue<WaitingPacket>()
  /** Offset up to which no packet is missing, except in gaps. */
  #knownEnd = 0
  /** Ordinal of the next packet, if none is dropped. */
  #expected = 0
  #gaps: { start: number; end: number }[] = []
  #stalledUntil = 0

  /** Number of waiting packets. */
  get length(): number {
    return this.#waiting.length
  }

  /** Whether frames need not wait, because the broker has not yet passed the bytes that were given up. */
  get stalled(): boolean {
    return this.watermark < this.#stalledUntil
  }

  /** The first waiting packet. */
  get first(): MqttPacket | null {
    return this.#waiting.first?.packet ?? null
  }

  /** When the oldest waiting packet arrived; Infinity if none waits. */
  get oldestArrivalMs(): number {
    return this.#waiting.first?.arrivedAtMs ?? Infinity
  }

  /** @param begin maximum end offset of packets that were dropped before this one */
  push({ packet, time, ordinal, last }: PacketEntry, begin: number, arrivedAtMs: number): void {
    this.#detectDrops(ordinal, begin)
    this.#expected = (ordinal + 1) >>> 0
    // Another packet may end at the same offset, so only packets that end earlier are known.
    this.#knownEnd = Math.max(this.#knownEnd, last ? packet.end : packet.end - 1)
    if (last) this.watermark = Math.max(this.watermark, packet.end)
    this.#waiting.push({ packet, timeMs: time, arrivedAtMs })
  }

  /**
   * Accounts for a packet that does not wait for a frame.
   *
   * @returns whether no packet was dropped before it
   */
  pass({ packet, ordinal, last }: PacketEntry): boolean {
    const complete = ordinal === this.#expected
    this.#expected = (ordinal + 1) >>> 0
    this.#knownEnd = Math.max(this.#knownEnd, last ? packet.end : packet.end - 1)
    if (last) this.watermark = Math.max(this.watermark, packet.end)
    this.#gaps = []
    return complete
  }

  /** Accounts for bytes up to `offset`, with no further packet that ends between `begin` and `offset`. */
  mark({ begin, offset, ordinal }: MarkEntry): void {
    this.#detectDrops(ordinal, begin)
    this.#expected = ordinal
    this.#knownEnd = Math.max(this.#knownEnd, begin)
    this.watermark = Math.max(this.watermark, offset)
  }

  /** Gives up frames up to `offset`. Later frames wait again once the broker has passed it. */
  stall(offset: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, offset)
  }

  /** Removes and returns the packets up to `to`. */
  take(from: number, to: number): TakenPackets {
    const packets: MqttPacket[] = []
    const late: MqttPacket[] = []
    const waiting = this.#waiting
    for (let first = waiting.first; first !== undefined && first.packet.end <= to; first = waiting.first) {
      const { packet } = waiting.shift()
      if (packet.end > from) packets.push(packet)
      else late.push(packet)
    }
    const complete = !this.#gaps.some(gap => gap.start < to && gap.end > from)
    if (this.#gaps.length > 0) this.#gaps = this.#gaps.filter(gap => gap.end > to)
    return { packets, late, complete }
  }

  /** Removes and returns all waiting packets. */
  drain(): WaitingPacket[] {
    this.#gaps = []
    return this.#waiting.drain()
  }

  /** Records a gap if packets before this ordinal were dropped. They end at `begin` or earlier. */
  #detectDrops(ordinal: number, begin: number): void {
    if (ordinal === this.#expected) return
    const last = this.#gaps.at(-1)
    if (last?.end === this.#knownEnd) last.end = begin
    else this.#gaps.push({ start: this.#knownEnd, end: begin })
    this.#knownEnd = begin
  }
}
