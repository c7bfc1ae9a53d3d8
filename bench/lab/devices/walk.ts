// Simulated measurements that drift, as temperature or power do.

import type { RandomSource } from '../random-source.js'

/** A random walk between two bounds. */
export class Walk {
  #value: number
  readonly #chance: RandomSource
  readonly #low: number
  readonly #high: number
  readonly #step: number

  /**
   * @param step typical change from one reading to the next
   */
  constructor(random: RandomSource, low: number, high: number, step: number) {
    this.#chance = random
    this.#low = low
    this.#high = high
    this.#step = step
    this.#value = random.between(low, high)
  }

  /** Returns the next reading. */
  next(): number {
    const moved = this.#value + this.#chance.normal(0, this.#step)
    this.#value = Math.min(this.#high, Math.max(this.#low, moved))
    return this.#value
  }

  /** Returns the next reading as text with the given decimals. */
  text(decimals: number): string {
    return this.next().toFixed(decimals)
  }

  /** Returns the next reading, rounded to the given decimals. */
  round(decimals: number): number {
    return Number(this.next().toFixed(decimals))
  }
}
