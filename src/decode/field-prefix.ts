// The first bytes of a field, up to a cap: a view if the field arrived in one piece, else a copy.

const SMALLEST_BUFFER = 256
const EMPTY = new Uint8Array(0)

/** Collects one field at a time. */
export class FieldPrefix {
  readonly #cap: number
  /** Declared length of the field, bytes. */
  #length = 0
  #kept = 0
  #bytes: Uint8Array = EMPTY
  #owned = false
  #hasGap = false

  /** @param cap bytes kept of each field */
  constructor(cap: number) {
    this.#cap = cap
  }

  /** Starts a field of `length` bytes. */
  begin(length: number): void {
    this.#length = length
    this.#kept = 0
    this.#bytes = EMPTY
    this.#owned = false
    this.#hasGap = false
  }

  /** Adds the field's next bytes: `source` from `from` to `to`. */
  add(source: Uint8Array, from: number, to: number): void {
    const limit = Math.min(this.#cap, this.#length)
    const count = Math.min(to - from, limit - this.#kept)
    if (count <= 0 || this.#hasGap) return
    if (count === limit) {
      this.#bytes = new Uint8Array(source.buffer, source.byteOffset + from, count)
    } else {
      this.#reserve(this.#kept + count, limit)
      for (let i = 0; i < count; i++) this.#bytes[this.#kept + i] = source[from + i]
    }
    this.#kept += count
  }

  /** Releases the kept bytes: a view keeps its whole buffer alive. */
  release(): void {
    this.#bytes = EMPTY
    this.#kept = 0
    this.#owned = false
  }

  /** Replaces a view by a copy, before the underlying bytes change. */
  own(): void {
    if (this.#owned || this.#kept === 0) return
    this.#bytes = this.#bytes.slice()
    this.#owned = true
  }

  /** Records that the field's next bytes were not captured. */
  skip(): void {
    if (this.#kept < Math.min(this.#cap, this.#length)) this.#hasGap = true
  }

  /** The kept bytes; null if part of them was not captured. */
  get bytes(): Uint8Array | null {
    if (this.#hasGap) return null
    return this.#owned ? this.#bytes.subarray(0, this.#kept) : this.#bytes
  }

  /** Grows with the received bytes, not with the declared length, which an attacker chooses. */
  #reserve(size: number, limit: number): void {
    if (this.#owned && this.#bytes.length >= size) return
    const larger = new Uint8Array(Math.min(limit, Math.max(SMALLEST_BUFFER, size * 2)))
    larger.set(this.#bytes.subarray(0, this.#kept))
    this.#bytes = larger
    this.#owned = true
  }
}
