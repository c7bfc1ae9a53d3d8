// Load averages as in mosquitto: rates per minute, over 1, 5 and 15 minutes.

/** Averaging periods in minutes, by the last level of their topics. */
export const PERIODS = Object.freeze({ '1min': 1, '5min': 5, '15min': 15 })

const MINUTE_MS = 60_000

/** The load of one counter: an exponentially weighted average for each period. */
export class Load {
  readonly #averages: Record<keyof typeof PERIODS, number> = { '1min': 0, '5min': 0, '15min': 0 }
  #lastCount = 0

  /** Updates the averages with the value of the counter, `elapsedMs` after the previous value. */
  update(count: number, elapsedMs: number): void {
    const perMinute = ((count - this.#lastCount) * MINUTE_MS) / elapsedMs
    this.#lastCount = count
    for (const [name, minutes] of Object.entries(PERIODS) as [keyof typeof PERIODS, number][]) {
      const weight = Math.exp(-elapsedMs / (minutes * MINUTE_MS))
      this.#averages[name] = perMinute + weight * (this.#averages[name] - perMinute)
    }
  }

  /** Returns the averages with two decimals, by the last level of their topics. */
  texts(): [string, string][] {
    return Object.entries(this.#averages).map(([name, average]) => [name, average.toFixed(2)])
  }
}
