// How fast something may go: a bucket that fills steadily and may be overdrawn once.

const SECOND_MS = 1_000

/** A rate with a burst of one second's worth (a token bucket). */
export class TokenBucket {
  #level: number
  #filledAtMs: number
  readonly #perSecond: number
  readonly #now: () => number

  /**
   * @param perSecond units a second
   * @param now milliseconds of a steady clock
   */
  constructor(perSecond: number, now: () => number = () => performance.now()) {
    this.#perSecond = perSecond
    this.#now = now
    this.#level = perSecond
    this.#filledAtMs = now()
  }

  /** Takes units, more than there are if need be: then {@link waitMs} says how long to wait before the next. */
  spend(units: number): void {
    this.#fill()
    this.#level -= units
  }

  /** Time until something may be spent again, ms; 0 where it may now. */
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
