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
  /** Seconds, by packet time, for which a datagram may stay unfinished (RFC 8200, section 4.5). */
  ageSeconds: number
}

export const FRAGMENT_LIMITS: FragmentLimits = Object.freeze({ datagrams: 256, pieces: 256, ageSeconds: 60 })

/** What is counted, because nothing is lost in silence. */
export interface FragmentCounters {
  /** Fragments seen. */
  fragments: number
  /** Datagrams completed. */
  reassembled: number
  /** Datagrams given up: too old, too many, in too many pieces, or longer than a datagram can be. */
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

  constructor (limits: Partial<FragmentLimits> = {}) {
    this.#limits = { ...FRAGMENT_LIMITS, ...limits }
  }

  /**
   * Takes a fragment of `length` bytes, of which `bytes` were captured; gives the datagram that it
   * completes, else null. `key` names addresses, protocol and identification.
   */
  push (key: string, { offset, more }: FragmentFields, length: number, bytes: Uint8Array, time: FrameTime): Datagram | null {
    this.counters.fragments++
    const entry = this.#entryOf(key, time)
    const end = offset + length
    if (!more) entry.length = end
    if (end > MAX_DATAGRAM || entry.pieces.length >= this.#limits.pieces) {
      this.#drop(key)
      return null
    }
    insert(entry.pieces, { start: offset, end, bytes: Uint8Array.from(bytes.subarray(0, length)) })
    if (entry.length === null || coveredUpTo(entry.pieces) < entry.length) return null
    this.#unfinished.delete(key)
    this.counters.reassembled++
    return { bytes: join(entry.pieces, entry.length), length: entry.length }
  }

  #entryOf (key: string, time: FrameTime): Unfinished {
    const known = this.#unfinished.get(key)
    if (known !== undefined && secondsBetween(known, time) <= this.#limits.ageSeconds) return known
    if (known !== undefined) this.#drop(key)
    if (this.#unfinished.size >= this.#limits.datagrams) this.#drop(this.#unfinished.keys().next().value!)
    const entry: Unfinished = { pieces: [], length: null, seconds: time.seconds, nanoseconds: time.nanoseconds }
    this.#unfinished.set(key, entry)
    return entry
  }

  #drop (key: string): void {
    this.#unfinished.delete(key)
    this.counters.fragmentsDropped++
  }
}

function insert (pieces: Piece[], piece: Piece): void {
  let at = pieces.length
  while (at > 0 && pieces[at - 1]!.start > piece.start) at--
  pieces.splice(at, 0, piece)
}

/** The end of the stretch that begins at 0 and has no hole. */
function coveredUpTo (pieces: readonly Piece[]): number {
  let end = 0
  for (const piece of pieces) {
    if (piece.start > end) break
    end = Math.max(end, piece.end)
  }
  return end
}

function join (pieces: readonly Piece[], length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let filled = 0
  for (const piece of pieces) {
    if (piece.start > filled) break
    bytes.set(piece.bytes.subarray(0, length - piece.start), piece.start)
    filled = Math.max(filled, piece.start + piece.bytes.length)
  }
  return bytes.subarray(0, filled)
}
