// The first bytes of a field, kept up to a cap: a view where the field came in one piece, else a copy.

const SMALLEST_BUFFER = 256
const EMPTY = new Uint8Array(0)

/** Collects one field after another. */
export class FieldPrefix {
  readonly #cap: number
  /** The field's length as declared, bytes. */
  #length = 0
  #kept = 0
  #bytes: Uint8Array = EMPTY
  #owned = false
  #holed = false

  /** `cap`: bytes kept of each field. */
  constructor(cap: number) {
    this.#cap = cap
  }

  /** Begins a field of `length` bytes. */
  begin(length: number): void {
    this.#length = length
    this.#kept = 0
    this.#bytes = EMPTY
    this.#owned = false
    this.#holed = false
  }

  /** Takes the field's next bytes, from `from` to `to` of `source`. */
  add(source: Uint8Array, from: number, to: number): void {
    const limit = Math.min(this.#cap, this.#length)
    const count = Math.min(to - from, limit - this.#kept)
    if (count <= 0 || this.#holed) return
    if (count === limit) {
      this.#bytes = new Uint8Array(source.buffer, source.byteOffset + from, count)
    } else {
      this.#reserve(this.#kept + count, limit)
      for (let i = 0; i < count; i++) this.#bytes[this.#kept + i] = source[from + i]
    }
    this.#kept += count
  }

  /** Lets go of what was kept: a view holds on to all of the bytes around it. */
  release(): void {
    this.#bytes = EMPTY
    this.#kept = 0
    this.#owned = false
  }

  /** Makes a copy where there is only a view: the bytes behind it are about to change. */
  own(): void {
    if (this.#owned || this.#kept === 0) return
    this.#bytes = this.#bytes.slice()
    this.#owned = true
  }

  /** The field's next bytes will never be seen. */
  skip(): void {
    if (this.#kept < Math.min(this.#cap, this.#length)) this.#holed = true
  }

  /** What was kept; null where part of what should have been kept was never seen. */
  get bytes(): Uint8Array | null {
    if (this.#holed) return null
    return this.#owned ? this.#bytes.subarray(0, this.#kept) : this.#bytes
  }

  /** Grows as bytes come, never to what a hostile length merely announces. */
  #reserve(size: number, limit: number): void {
    if (this.#owned && this.#bytes.length >= size) return
    const grown = new Uint8Array(Math.min(limit, Math.max(SMALLEST_BUFFER, size * 2)))
    grown.set(this.#bytes.subarray(0, this.#kept))
    this.#bytes = grown
    this.#owned = true
  }
}
