// Measured values: a quantity that drifts, as temperature or power do, instead of jumping at random.

import type { Chance } from '../chance.js'

/** A value that wanders between two bounds. */
export class Walk {
  #value: number
  readonly #chance: Chance
  readonly #low: number
  readonly #high: number
  readonly #step: number

  /**
   * @param step typical change from one reading to the next
   */
  constructor(chance: Chance, low: number, high: number, step: number) {
    this.#chance = chance
    this.#low = low
    this.#high = high
    this.#step = step
    this.#value = chance.between(low, high)
  }

  /** The next reading. */
  next(): number {
    const moved = this.#value + this.#chance.normal(0, this.#step)
    // Turned back at the bounds.
    this.#value = Math.min(this.#high, Math.max(this.#low, moved))
    return this.#value
  }

  /** The next reading with so many decimals, as text. */
  text(decimals: number): string {
    return this.next().toFixed(decimals)
  }

  /** The next reading with at most so many decimals, as a number. */
  round(decimals: number): number {
    return Number(this.next().toFixed(decimals))
  }
}
