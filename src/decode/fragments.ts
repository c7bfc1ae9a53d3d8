// Reassembles IP fragments: the frame that completes a datagram represents the whole datagram.
import type { FrameTime } from './frame-times.js'
import { secondsBetween } from './frame-times.js'
import type { FragmentFields } from './ip.js'

/** Limits of the reassembly. */
export interface FragmentLimits {
  /** Incomplete datagrams; the oldest is dropped. */
  datagrams: number
  /** Fragments of one datagram. */
  pieces: number
  /** Buffered bytes of all fragments; the oldest datagram is dropped. */
  heldBytes: number
  /** Seconds of packet time for which a datagram may stay incomplete (RFC 8200, section 4.5). */
  ageSeconds: number
}

export const FRAGMENT_LIMITS: FragmentLimits = Object.freeze({
  datagrams: 256,
  pieces: 256,
  heldBytes: 8_388_608,
  ageSeconds: 60
})

/** Counters of the reassembly; they include all losses. */
export interface FragmentCounters {
  /** Fragments seen. */
  fragments: number
  /** Datagrams completed. */
  reassembled: number
  /** Datagrams dropped: too old, too many, too many fragments, too long, or with contradictory ends. */
  fragmentsDropped: number
}

/** Payload of a datagram. */
export interface Datagram {
  /** Captured bytes up to the first gap. */
  bytes: Buffer
  /** Length on the wire, bytes. */
  length: number
}

interface Piece {
  start: number
  end: number
  /** Copy of the captured bytes. */
  bytes: Uint8Array
}

interface PartialDatagram extends FrameTime {
  pieces: Piece[]
  /** Buffered bytes of all fragments. */
  bytes: number
  /** Known once the last fragment arrives. */
  length: number | null
}

/** Largest payload that 13-bit fragment offsets allow. */
const MAX_DATAGRAM = 65_535

/** Collects fragments until their datagrams are complete. */
export class FragmentAssembly {
  readonly counters: FragmentCounters = { fragments: 0, reassembled: 0, fragmentsDropped: 0 }
  readonly #limits: FragmentLimits
  /** Oldest first. */
  readonly #partial = new Map<string, PartialDatagram>()

  #heldBytes = 0

  constructor(limits: Partial<FragmentLimits> = {}) {
    this.#limits = { ...FRAGMENT_LIMITS, ...limits }
  }

  /** Number of incomplete datagrams. */
  get waiting(): number {
    return this.#partial.size
  }

  /** Buffered bytes of their fragments. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /**
   * Adds a fragment of `length` bytes, of which `bytes` were captured. Returns the datagram that it completes, else
   * null. `key` identifies addresses, protocol and identification.
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
      this.#enforceHeldBytes()
      return null
    }
    this.#forget(key, entry)
    this.counters.reassembled++
    return { bytes: join(entry.pieces, entry.length), length: entry.length }
  }

  #entryOf(key: string, time: FrameTime): PartialDatagram {
    const known = this.#partial.get(key)
    if (known !== undefined && secondsBetween(known, time) <= this.#limits.ageSeconds) return known
    if (known !== undefined) this.#drop(key, known)
    if (this.#partial.size >= this.#limits.datagrams) this.#dropOldest()
    const entry: PartialDatagram = {
      pieces: [],
      bytes: 0,
      length: null,
      seconds: time.seconds,
      nanoseconds: time.nanoseconds
    }
    this.#partial.set(key, entry)
    return entry
  }

  #enforceHeldBytes(): void {
    while (this.#heldBytes > this.#limits.heldBytes) this.#dropOldest()
  }

  #dropOldest(): void {
    const [[key, entry]] = this.#partial
    this.#drop(key, entry)
  }

  #drop(key: string, entry: PartialDatagram): void {
    this.#forget(key, entry)
    this.counters.fragmentsDropped++
  }

  #forget(key: string, entry: PartialDatagram): void {
    this.#partial.delete(key)
    this.#heldBytes -= entry.bytes
  }
}

/** Whether a fragment contradicts the end of the datagram that another fragment declared. */
function contradicts({ length, pieces }: PartialDatagram, end: number, more: boolean): boolean {
  if (length !== null) return end > length || (!more && end < length)
  return !more && pieces.some(piece => piece.end > end)
}

function insert(pieces: Piece[], piece: Piece): void {
  let at = pieces.length
  while (at > 0 && pieces[at - 1].start > piece.start) at--
  pieces.splice(at, 0, piece)
}

/** Returns the end of the contiguous range that starts at 0. */
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
