// Decisions read from an input's bytes: what to do next, how often, how long.

/** Reads decisions until its bytes are used up; after that every decision is 0. */
export class Script {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Whether every byte is used up. */
  get over(): boolean {
    return this.#at >= this.#bytes.length
  }

  byte(): number {
    return this.#bytes[this.#at++] ?? 0
  }

  uint16(): number {
    return (this.byte() << 8) | this.byte()
  }

  uint32(): number {
    return this.uint16() * 0x1_0000 + this.uint16()
  }

  /** An integer in [0, bound), for a bound of at most 256. */
  below(bound: number): number {
    return this.byte() % bound
  }

  /** True for about one in `many`, at most 256. */
  oneIn(many: number): boolean {
    return this.byte() % many === many - 1
  }

  /** The next bytes, fewer where the script ends. */
  take(length: number): Uint8Array {
    const bytes = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += bytes.length
    return bytes
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.take(this.#bytes.length)
  }
}
