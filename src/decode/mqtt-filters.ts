// What the topic filters of a SUBSCRIBE reach, counted as their bytes come.
import { subscribeFacts } from './mqtt-facts.js'

const HASH = 0x23
const PLUS = 0x2b
const DOLLAR = 0x24

/** Counts the filters of one packet after the other. */
export class FilterCounts {
  #filters = 0
  #wildcards = 0
  #widest = 0
  /** Of the filter in hand: whether a wildcard came, and whether any byte did. */
  #isWildcard = false
  #isBegun = false

  /** The counts, packed as in `mqtt-facts.ts`. */
  get facts(): number {
    return subscribeFacts({ filters: this.#filters, wildcards: this.#wildcards, widest: this.#widest })
  }

  /** Another packet begins. */
  clear(): void {
    this.#filters = this.#wildcards = this.#widest = 0
  }

  /** Another filter begins. */
  begin(): void {
    this.#filters++
    this.#isWildcard = false
    this.#isBegun = false
  }

  /** Takes the filter's next bytes, from `at` to `end`. */
  read(bytes: Uint8Array, at: number, end: number): void {
    for (let i = at; i < end; i++) {
      const byte = bytes[i]
      const isWildcard = byte === HASH || byte === PLUS
      if (isWildcard && !this.#isWildcard) {
        this.#wildcards++
        this.#isWildcard = true
      }
      if (!this.#isBegun && (isWildcard || byte === DOLLAR)) this.#widest++
      this.#isBegun = true
    }
  }
}
