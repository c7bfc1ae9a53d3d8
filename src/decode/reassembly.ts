// Reassembles one direction of a TCP stream: a contiguous pointer and a buffer of early segments.
import type { StreamChunk } from '../types.js'

/** A buffered segment that waits for earlier bytes. */
interface HeldSegment {
  start: number
  end: number
  /** Copy of the captured bytes. */
  bytes: Uint8Array
}

/** Limits of the buffered segments. */
export interface ReassemblyLimits {
  /** Bytes of early segments per direction. */
  heldBytes: number
  /** Early segments per direction. */
  heldSegments: number
  /** Memory for early segments of all directions, bytes. */
  heldBytesTotal: number
}

/** Memory use of the early segments of all directions of all streams. */
export interface HeldMemory {
  /** Bytes of the segments plus the overhead of each. */
  bytes: number
}

/** Memory overhead of a buffered segment, bytes: empty segments must count too. */
export const HELD_SEGMENT_BYTES = 200

/** Counters of the reassembly; they include all losses. */
export interface ReassemblyCounters {
  /** Gaps skipped because the peer acknowledged bytes beyond them. */
  gapsLost: number
  /** Gaps skipped because a limit of buffered segments was exceeded. */
  gapsForced: number
  /** Bytes in both kinds of gap. */
  gapBytes: number
}

/** Largest TCP window (RFC 7323, section 2.3): an acknowledgement further ahead is forged or corrupt. */
const MAX_WINDOW = 0x4000_0000

const NO_CHUNKS: readonly StreamChunk[] = Object.freeze([])
const OVERDUE = Object.freeze({ overdue: true as const })
/** Shared empty list, never modified: most directions need no list of their own. */
const NO_SEGMENTS: HeldSegment[] = []

/**
 * Puts the segments of one direction in order. Offsets count the direction's bytes from 0, without wrapping at 4 GiB;
 * they are exact up to 2^53.
 */
export class Reassembly {
  /** Sequence number of the SYN, seen or inferred; null if unknown. Set by the caller. */
  initial: number | null = null

  readonly #limits: ReassemblyLimits
  readonly #counters: ReassemblyCounters
  readonly #memory: HeldMemory
  #held: HeldSegment[] = NO_SEGMENTS
  #heldBytes = 0
  /** Sequence number of offset 0. */
  #base: number | null = null
  #next = 0
  #acknowledged = 0

  /** @param memory shared by all directions that `heldBytesTotal` limits */
  constructor(limits: ReassemblyLimits, counters: ReassemblyCounters, memory: HeldMemory) {
    this.#limits = limits
    this.#counters = counters
    this.#memory = memory
  }

  /** Bytes of buffered segments. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Number of buffered segments. */
  get heldSegments(): number {
    return this.#held.length
  }

  /** Releases the buffered segments at the end of the stream. */
  release(): void {
    for (const segment of this.#held) this.#subtract(segment)
    this.#held = NO_SEGMENTS
  }

  /** Contiguous pointer: offset of the first byte that was not delivered. */
  get next(): number {
    return this.#next
  }

  /** Whether offset 0 is known. */
  get placed(): boolean {
    return this.#base !== null
  }

  /** Sets the sequence number of offset 0, unless bytes were already delivered or buffered. */
  place(sequence: number): void {
    if (this.#next > 0 || this.#held.length > 0) return
    this.#base = sequence >>> 0
  }

  /** Records that the peer acknowledged all bytes before `sequence`. */
  acknowledge(sequence: number): void {
    if (this.#base === null) return
    const offset = this.#offsetOf(sequence)
    if (offset > this.#acknowledged && offset - this.#next <= MAX_WINDOW) this.#acknowledged = offset
  }

  /**
   * Adds a segment of `length` bytes, of which `bytes` were captured. Returns the chunks that became contiguous:
   * usually the segment itself, nothing if it is old or early.
   */
  push(sequence: number, length: number, bytes: Uint8Array): readonly StreamChunk[] {
    if (length === 0 && this.#held.length === 0) return NO_CHUNKS
    this.#base ??= sequence
    const start = this.#offsetOf(sequence)
    const end = start + length
    if (length > 0 && end > this.#next) {
      if (start <= this.#next && this.#held.length === 0) {
        // The common case: fully captured, and all bytes are new.
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
    return this.#held.length > 0 ? this.#drain(start, end) : NO_CHUNKS
  }

  #offsetOf(sequence: number): number {
    // The signed 32-bit difference from the pointer handles wrap-around.
    const distance = (sequence - ((this.#base ?? 0) + (this.#next % 0x1_0000_0000))) | 0
    return this.#next + distance
  }

  /** Appends the part of a segment beyond the pointer and moves the pointer to its end. */
  #deliver(
    chunks: StreamChunk[],
    start: number,
    end: number,
    bytes: Uint8Array,
    mark?: Pick<StreamChunk, 'overdue'>
  ): void {
    const from = this.#next
    const captured = Math.min(end, start + bytes.length)
    if (captured > from)
      chunks.push({
        start: from,
        length: captured - from,
        bytes: from === start ? bytes : bytes.subarray(from - start),
        ...mark
      })
    const missing = Math.max(from, captured)
    if (end > missing) chunks.push({ start: missing, length: end - missing, bytes: null, ...mark })
    this.#next = end
  }

  #hold(start: number, end: number, bytes: Uint8Array): void {
    let at = this.#held.length
    while (at > 0 && this.#held[at - 1].start > start) at--
    // A retransmission of a buffered segment that was fully captured.
    const before = at > 0 ? this.#held[at - 1] : undefined
    if (before !== undefined && before.end >= end && before.bytes.length >= before.end - before.start) return
    if (this.#held === NO_SEGMENTS) this.#held = []
    // A view would keep the whole capture chunk alive.
    this.#held.splice(at, 0, { start, end, bytes: bytes.slice() })
    this.#heldBytes += bytes.length
    this.#memory.bytes += bytes.length + HELD_SEGMENT_BYTES
  }

  /** Subtracts a segment from the buffered bytes. */
  #subtract({ bytes }: HeldSegment): void {
    this.#heldBytes -= bytes.length
    this.#memory.bytes -= bytes.length + HELD_SEGMENT_BYTES
  }

  /** Delivers the segments that are now contiguous; `start` and `end` are those of the segment just added. */
  #drain(start: number, end: number): readonly StreamChunk[] {
    const chunks: StreamChunk[] = []
    const { gapBytes } = this.#counters
    let taken = 0
    for (let first = this.#held.at(0); first !== undefined; first = this.#held.at(taken)) {
      if (first.start > this.#next && !this.#skipGap(first.start, taken, chunks)) break
      const isNew = this.#counters.gapBytes === gapBytes || (first.start === start && first.end === end)
      if (first.end > this.#next)
        this.#deliver(chunks, first.start, first.end, first.bytes, isNew ? undefined : OVERDUE)
      this.#subtract(first)
      taken++
    }
    if (taken > 0) this.#held.splice(0, taken)
    return chunks
  }

  /** Skips the gap up to `end` if it was acknowledged, or if a limit is exceeded. Returns whether it did. */
  #skipGap(end: number, taken: number, chunks: StreamChunk[]): boolean {
    const lost = this.#acknowledged >= end
    const { heldBytes, heldSegments, heldBytesTotal } = this.#limits
    const forced =
      this.#heldBytes > heldBytes || this.#held.length - taken > heldSegments || this.#memory.bytes > heldBytesTotal
    if (!lost && !forced) return false
    if (lost) this.#counters.gapsLost++
    else this.#counters.gapsForced++
    this.#counters.gapBytes += end - this.#next
    chunks.push({ start: this.#next, length: end - this.#next, bytes: null, lost: true })
    this.#next = end
    return true
  }
}
