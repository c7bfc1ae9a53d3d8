// Rate limit by a token bucket that may be overdrawn once.

const SECOND_MS = 1_000

/** A token bucket with a burst of one second. */
export class TokenBucket {
  #level: number
  #filledAtMs: number
  readonly #perSecond: number
  readonly #now: () => number

  /**
   * @param perSecond units per second
   * @param now monotonic clock, ms
   */
  constructor(perSecond: number, now: () => number = () => performance.now()) {
    this.#perSecond = perSecond
    this.#now = now
    this.#level = perSecond
    this.#filledAtMs = now()
  }

  /** Takes units, more than available if necessary; {@link waitMs} then returns the time to wait. */
  spend(units: number): void {
    this.#fill()
    this.#level -= units
  }

  /** Time until units are available again, ms; 0 if they are now. */
  waitMs(): number {
    this.#fill()
    return this.#level > 0 ? 0 : Math.ceil(((1 - this.#level) * SECOND_MS) / this.#perSecond)
  }

  #fill(): void {
    const now = this.#now()
    this.#level = Math.min(this.#perSecond, this.#level + ((now - this.#filledAtMs) * this.#perSecond) / SECOND_MS)
    this.#filledAtMs = now
  }
}
