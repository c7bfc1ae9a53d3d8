// Interprets the bytes of an input as decisions: what to do next, how often, how long.

/** Reads decisions from bytes; every decision after the last byte is 0. */
export class Script {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Whether all bytes are read. */
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

  /** Returns an integer in [0, bound), for a bound of at most 256. */
  below(bound: number): number {
    return this.byte() % bound
  }

  /** Returns true for about one in `many` bytes, at most 256. */
  oneIn(many: number): boolean {
    return this.byte() % many === many - 1
  }

  /** Returns the next bytes, fewer at the end of the script. */
  take(length: number): Uint8Array {
    const bytes = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += bytes.length
    return bytes
  }

  /** Returns the remaining bytes. */
  rest(): Uint8Array {
    return this.take(this.#bytes.length)
  }
}
