// IP fragments put together again: the frame that completes a datagram stands for all of it.
import type { FrameTime } from './frame-times.js'
import { secondsBetween } from './frame-times.js'
import type { FragmentFields } from './ip.js'

/** What may wait. */
export interface FragmentLimits {
  /** Datagrams in progress; the oldest makes room. */
  datagrams: number
  /** Pieces of one datagram. */
  pieces: number
  /** Bytes of all pieces that wait; the oldest datagram makes room. */
  heldBytes: number
  /** Seconds, by packet time, for which a datagram may stay unfinished (RFC 8200, section 4.5). */
  ageSeconds: number
}

export const FRAGMENT_LIMITS: FragmentLimits = Object.freeze({
  datagrams: 256,
  pieces: 256,
  heldBytes: 8_388_608,
  ageSeconds: 60
})

/** What is counted, because nothing is lost in silence. */
export interface FragmentCounters {
  /** Fragments seen. */
  fragments: number
  /** Datagrams completed. */
  reassembled: number
  /** Datagrams given up: too old, too many, in too many pieces, longer than a datagram can be, or with two ends. */
  fragmentsDropped: number
}

/** A datagram's payload. */
export interface Datagram {
  /** Its beginning, as far as it was captured without a hole. */
  bytes: Buffer
  /** Its length on the wire. */
  length: number
}

interface Piece {
  start: number
  end: number
  /** A copy of what was captured of it. */
  bytes: Uint8Array
}

interface Unfinished extends FrameTime {
  pieces: Piece[]
  /** Of all pieces. */
  bytes: number
  /** Known from the last fragment. */
  length: number | null
}

/** Largest payload that offsets of 13 bits can build. */
const MAX_DATAGRAM = 65_535

/** Collects fragments until their datagrams are whole. */
export class FragmentAssembly {
  readonly counters: FragmentCounters = { fragments: 0, reassembled: 0, fragmentsDropped: 0 }
  readonly #limits: FragmentLimits
  /** The oldest first. */
  readonly #unfinished = new Map<string, Unfinished>()

  #heldBytes = 0

  constructor(limits: Partial<FragmentLimits> = {}) {
    this.#limits = { ...FRAGMENT_LIMITS, ...limits }
  }

  /** Datagrams that wait for more of their fragments. */
  get waiting(): number {
    return this.#unfinished.size
  }

  /** Bytes of their fragments. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /**
   * Takes a fragment of `length` bytes, of which `bytes` were captured; gives the datagram that it
   * completes, else null. `key` names addresses, protocol and identification.
   */
  push(
    key: string,
    { offset, more }: FragmentFields,
    length: number,
    bytes: Uint8Array,
    time: FrameTime
  ): Datagram | null {
    this.counters.fragments++
    const entry = this.#entryOf(key, time)
    const end = offset + length
    if (end > MAX_DATAGRAM || entry.pieces.length >= this.#limits.pieces || contradicts(entry, end, more)) {
      this.#drop(key, entry)
      return null
    }
    if (!more) entry.length = end
    const piece = { start: offset, end, bytes: Uint8Array.from(bytes.subarray(0, length)) }
    insert(entry.pieces, piece)
    entry.bytes += piece.bytes.length
    this.#heldBytes += piece.bytes.length
    if (entry.length === null || coveredUpTo(entry.pieces) < entry.length) {
      this.#makeRoom()
      return null
    }
    this.#forget(key, entry)
    this.counters.reassembled++
    return { bytes: join(entry.pieces, entry.length), length: entry.length }
  }

  #entryOf(key: string, time: FrameTime): Unfinished {
    const known = this.#unfinished.get(key)
    if (known !== undefined && secondsBetween(known, time) <= this.#limits.ageSeconds) return known
    if (known !== undefined) this.#drop(key, known)
    if (this.#unfinished.size >= this.#limits.datagrams) this.#dropOldest()
    const entry: Unfinished = {
      pieces: [],
      bytes: 0,
      length: null,
      seconds: time.seconds,
      nanoseconds: time.nanoseconds
    }
    this.#unfinished.set(key, entry)
    return entry
  }

  #makeRoom(): void {
    while (this.#heldBytes > this.#limits.heldBytes) this.#dropOldest()
  }

  #dropOldest(): void {
    const [[key, entry]] = this.#unfinished
    this.#drop(key, entry)
  }

  #drop(key: string, entry: Unfinished): void {
    this.#forget(key, entry)
    this.counters.fragmentsDropped++
  }

  #forget(key: string, entry: Unfinished): void {
    this.#unfinished.delete(key)
    this.#heldBytes -= entry.bytes
  }
}

/** Whether a fragment lies beyond the end that another one gave the datagram. */
function contradicts({ length, pieces }: Unfinished, end: number, more: boolean): boolean {
  if (length !== null) return end > length || (!more && end < length)
  return !more && pieces.some(piece => piece.end > end)
}

function insert(pieces: Piece[], piece: Piece): void {
  let at = pieces.length
  while (at > 0 && pieces[at - 1].start > piece.start) at--
  pieces.splice(at, 0, piece)
}

/** The end of the stretch that begins at 0 and has no hole. */
function coveredUpTo(pieces: readonly Piece[]): number {
  let end = 0
  for (const piece of pieces) {
    if (piece.start > end) break
    end = Math.max(end, piece.end)
  }
  return end
}

function join(pieces: readonly Piece[], length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let filled = 0
  for (const piece of pieces) {
    if (piece.start > filled) break
    bytes.set(piece.bytes.subarray(0, length - piece.start), piece.start)
    filled = Math.max(filled, piece.start + piece.bytes.length)
  }
  return bytes.subarray(0, filled)
}
