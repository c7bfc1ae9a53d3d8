// Moving averages as mosquitto publishes them: how much a minute, over the last one, five and fifteen.

/** Minutes that an average looks back, by the last level of its topic. */
export const PERIODS = Object.freeze({ '1min': 1, '5min': 5, '15min': 15 })

const MINUTE_MS = 60_000

/** The load of one counter: an exponentially weighted average for each period. */
export class Load {
  readonly #averages: Record<keyof typeof PERIODS, number> = { '1min': 0, '5min': 0, '15min': 0 }
  #before = 0

  /** Takes the counter's value `elapsedMs` after the one before. */
  update(count: number, elapsedMs: number): void {
    const perMinute = ((count - this.#before) * MINUTE_MS) / elapsedMs
    this.#before = count
    for (const [name, minutes] of Object.entries(PERIODS) as [keyof typeof PERIODS, number][]) {
      const weight = Math.exp(-elapsedMs / (minutes * MINUTE_MS))
      this.#averages[name] = perMinute + weight * (this.#averages[name] - perMinute)
    }
  }

  /** The averages with two digits, by the last level of their topics. */
  texts(): [string, string][] {
    return Object.entries(this.#averages).map(([name, average]) => [name, average.toFixed(2)])
  }
}
