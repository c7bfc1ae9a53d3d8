// One direction of a TCP stream put in order: a contiguous pointer and the segments that came too early.
import type { StreamChunk } from '../types.js'

/** A segment that waits for the bytes before it. */
interface HeldSegment {
  start: number
  end: number
  /** A copy of what was captured of it. */
  bytes: Uint8Array
}

/** What may be held back. */
export interface ReassemblyLimits {
  /** Bytes of early segments, each direction. */
  heldBytes: number
  /** Early segments, each direction. */
  heldSegments: number
  /** Bytes of memory for early segments, all directions together. */
  heldBytesTotal: number
}

/** What all directions of all streams hold back together. */
export interface HeldRoom {
  /** Bytes of memory: those of the segments and what each takes beside. */
  bytes: number
}

/** Memory that a held segment takes beside its bytes, bytes: many empty ones must not be free. */
export const HELD_SEGMENT_BYTES = 200

/** What is counted, because nothing is lost in silence. */
export interface ReassemblyCounters {
  /** Gaps given up because the other side had acknowledged beyond them. */
  gapsLost: number
  /** Gaps given up because too much waited behind them. */
  gapsForced: number
  /** Bytes in both kinds of gap. */
  gapBytes: number
}

/** Largest window of TCP (RFC 7323, section 2.3): an acknowledgement farther ahead is forged or broken. */
const MAX_WINDOW = 0x4000_0000

const NOTHING: readonly StreamChunk[] = Object.freeze([])
const OVERDUE = Object.freeze({ overdue: true as const })
/** Stands for an empty list that nobody adds to, so that most directions need none of their own. */
const NONE: HeldSegment[] = []

/**
 * Puts the segments of one direction in order. Offsets count bytes since the first one of the
 * direction and grow beyond 4 GiB; they are exact up to 2^53.
 */
export class Reassembly {
  /**
   * Sequence number of its SYN, as far as one can tell; null before anything tells. Whoever follows the headers sets
   * it.
   */
  initial: number | null = null

  readonly #limits: ReassemblyLimits
  readonly #counters: ReassemblyCounters
  readonly #room: HeldRoom
  #held: HeldSegment[] = NONE
  #heldBytes = 0
  /** Sequence number of offset 0. */
  #base: number | null = null
  #next = 0
  #acknowledged = 0

  /** `room` is shared by all that `heldBytesTotal` is for. */
  constructor(limits: ReassemblyLimits, counters: ReassemblyCounters, room: HeldRoom) {
    this.#limits = limits
    this.#counters = counters
    this.#room = room
  }

  /** Bytes that wait. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Segments that wait. */
  get heldSegments(): number {
    return this.#held.length
  }

  /** Forgets what waits: the stream is over. */
  release(): void {
    for (const segment of this.#held) this.#drop(segment)
    this.#held = NONE
  }

  /** The contiguous pointer: the offset of the first byte that has not been delivered. */
  get next(): number {
    return this.#next
  }

  /** Whether offset 0 is known. */
  get placed(): boolean {
    return this.#base !== null
  }

  /** Fixes the sequence number of offset 0, unless bytes were delivered already. */
  place(sequence: number): void {
    if (this.#next > 0 || this.#held.length > 0) return
    this.#base = sequence >>> 0
  }

  /** The other side has acknowledged everything before `sequence`. */
  acknowledge(sequence: number): void {
    if (this.#base === null) return
    const offset = this.#offsetOf(sequence)
    if (offset > this.#acknowledged && offset - this.#next <= MAX_WINDOW) this.#acknowledged = offset
  }

  /**
   * Takes a segment of `length` bytes, of which `bytes` were captured, and gives what has become
   * contiguous with it: usually the segment itself, nothing when it is old or early.
   */
  push(sequence: number, length: number, bytes: Uint8Array): readonly StreamChunk[] {
    if (length === 0 && this.#held.length === 0) return NOTHING
    this.#base ??= sequence
    const start = this.#offsetOf(sequence)
    const end = start + length
    if (length > 0 && end > this.#next) {
      if (start <= this.#next && this.#held.length === 0) {
        // As good as always: all of it, and all of it new.
        if (start === this.#next && bytes.length === length) {
          this.#next = end
          return [{ start, length, bytes }]
        }
        const chunks: StreamChunk[] = []
        this.#deliver(chunks, start, end, bytes)
        return chunks
      }
      this.#hold(start, end, bytes)
    }
    return this.#held.length > 0 ? this.#drain(start, end) : NOTHING
  }

  #offsetOf(sequence: number): number {
    // The difference from the pointer, taken as signed 32 bits, survives every wrap.
    const distance = (sequence - ((this.#base ?? 0) + (this.#next % 0x1_0000_0000))) | 0
    return this.#next + distance
  }

  /** Appends the part of a segment that lies behind the pointer and moves the pointer to its end. */
  #deliver(
    chunks: StreamChunk[],
    start: number,
    end: number,
    bytes: Uint8Array,
    wait?: Pick<StreamChunk, 'overdue'>
  ): void {
    const from = this.#next
    const captured = Math.min(end, start + bytes.length)
    if (captured > from)
      chunks.push({
        start: from,
        length: captured - from,
        bytes: from === start ? bytes : bytes.subarray(from - start),
        ...wait
      })
    const missing = Math.max(from, captured)
    if (end > missing) chunks.push({ start: missing, length: end - missing, bytes: null, ...wait })
    this.#next = end
  }

  #hold(start: number, end: number, bytes: Uint8Array): void {
    let at = this.#held.length
    while (at > 0 && this.#held[at - 1].start > start) at--
    // A retransmission of what waits already; the one that captured more is kept by being first in line.
    const before = at > 0 ? this.#held[at - 1] : undefined
    if (before !== undefined && before.end >= end && before.bytes.length >= before.end - before.start) return
    if (this.#held === NONE) this.#held = []
    // A view would keep the whole chunk of the capture alive for as long as the segment waits.
    this.#held.splice(at, 0, { start, end, bytes: bytes.slice() })
    this.#heldBytes += bytes.length
    this.#room.bytes += bytes.length + HELD_SEGMENT_BYTES
  }

  /** No longer counts a segment among those that wait. */
  #drop({ bytes }: HeldSegment): void {
    this.#heldBytes -= bytes.length
    this.#room.bytes -= bytes.length + HELD_SEGMENT_BYTES
  }

  /** Delivers what waits no longer, the segment from `start` to `end` being the one that just came. */
  #drain(start: number, end: number): readonly StreamChunk[] {
    const chunks: StreamChunk[] = []
    const { gapBytes } = this.#counters
    let taken = 0
    for (let first = this.#held.at(0); first !== undefined; first = this.#held.at(taken)) {
      if (first.start > this.#next && !this.#giveUp(first.start, taken, chunks)) break
      const isNew = this.#counters.gapBytes === gapBytes || (first.start === start && first.end === end)
      if (first.end > this.#next)
        this.#deliver(chunks, first.start, first.end, first.bytes, isNew ? undefined : OVERDUE)
      this.#drop(first)
      taken++
    }
    if (taken > 0) this.#held.splice(0, taken)
    return chunks
  }

  /** Declares the gap up to `end` lost if it will never be filled, or if too much waits for it. */
  #giveUp(end: number, taken: number, chunks: StreamChunk[]): boolean {
    const lost = this.#acknowledged >= end
    const { heldBytes, heldSegments, heldBytesTotal } = this.#limits
    const forced =
      this.#heldBytes > heldBytes || this.#held.length - taken > heldSegments || this.#room.bytes > heldBytesTotal
    if (!lost && !forced) return false
    if (lost) this.#counters.gapsLost++
    else this.#counters.gapsForced++
    this.#counters.gapBytes += end - this.#next
    chunks.push({ start: this.#next, length: end - this.#next, bytes: null, lost: true })
    this.#next = end
    return true
  }
}
