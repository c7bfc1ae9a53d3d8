// Bytes that wait until enough of them are there, joined only then: single bytes cost no more than large portions.

/** The end of what was pushed and could not be used yet. */
export class PendingBytes {
  #parts: Buffer[] = []
  #length = 0

  /** How many bytes wait. */
  get length(): number {
    return this.#length
  }

  /** Adds bytes; gives all of them where at least `needed` are there, else null. */
  add(chunk: Buffer, needed: number): Buffer | null {
    if (this.#length === 0 && chunk.length >= needed) return chunk
    this.#parts.push(chunk)
    this.#length += chunk.length
    if (this.#length < needed) return null
    const bytes = Buffer.concat(this.#parts, this.#length)
    this.#parts = []
    this.#length = 0
    return bytes
  }

  /** Lets wait what was given out and is not used. */
  keep(rest: Buffer): void {
    this.#parts = rest.length > 0 ? [rest] : []
    this.#length = rest.length
  }
}
