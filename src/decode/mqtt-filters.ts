// Classifies the topic filters of a SUBSCRIBE incrementally.
import { subscribeFacts } from './mqtt-facts.js'

const HASH = 0x23
const PLUS = 0x2b
const DOLLAR = 0x24

/** Counts the filters of one packet at a time. */
export class FilterCounts {
  #filters = 0
  #wildcards = 0
  #widest = 0
  /** Whether the current filter has a wildcard, and whether it has any byte. */
  #hasWildcard = false
  #hasBytes = false

  /** The counts, packed as in `mqtt-facts.ts`. */
  get facts(): number {
    return subscribeFacts({ filters: this.#filters, wildcards: this.#wildcards, widest: this.#widest })
  }

  /** Starts a packet. */
  clear(): void {
    this.#filters = this.#wildcards = this.#widest = 0
  }

  /** Starts a filter. */
  begin(): void {
    this.#filters++
    this.#hasWildcard = false
    this.#hasBytes = false
  }

  /** Reads the filter's next bytes, from `at` to `end`. */
  read(bytes: Uint8Array, at: number, end: number): void {
    for (let i = at; i < end; i++) {
      const byte = bytes[i]
      const isWildcard = byte === HASH || byte === PLUS
      if (isWildcard && !this.#hasWildcard) {
        this.#wildcards++
        this.#hasWildcard = true
      }
      if (!this.#hasBytes && (isWildcard || byte === DOLLAR)) this.#widest++
      this.#hasBytes = true
    }
  }
}
