// Collects bytes until enough are available and joins them only then, so that small chunks stay cheap.

/** Pushed bytes that are not used yet. */
export class PendingBytes {
  #parts: Buffer[] = []
  #length = 0

  /** Number of pending bytes. */
  get length(): number {
    return this.#length
  }

  /** Adds bytes. Returns all pending bytes if there are at least `needed`, else null. */
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

  /** Keeps returned bytes that were not used. */
  keep(rest: Buffer): void {
    this.#parts = rest.length > 0 ? [rest] : []
    this.#length = rest.length
  }
}
