// Collects the broker's own first traffic, from which it learns what is normal.

import type { Random } from '../../models/random.js'
import { timeOf, type TrafficRecord } from '../record.js'

/** How long to learn. */
export interface LearnSettings {
  /** At least so long, in packet time. */
  seconds: number
  /** And at least so many records. */
  minimumRecords: number
}

/** What the learning keeps in memory; beyond it a uniform sample is kept. */
export const SAMPLE_CAP = 20_000

/** A longer step of the time is a clock that was set: it counts for no more, and backwards not at all. */
const LONGEST_STEP_SECONDS = 60

/**
 * Share of the learning after which the model is fitted; the rest, which it has not seen, tells the limits of the
 * alerts.
 */
const FITTING_SHARE = 0.7

/** The collecting half of the learning, with a bounded and unbiased memory (Vitter's algorithm R). */
export class TrainingSample {
  readonly #kept: { index: number; record: TrafficRecord }[] = []
  #collecting = true
  #count = 0
  #elapsed = 0
  #latest: number | undefined
  readonly #settings: LearnSettings
  readonly #random: Random

  constructor(settings: LearnSettings, random: Random) {
    this.#settings = settings
    this.#random = random
  }

  /** Records seen so far. */
  get seen(): number {
    return this.#count
  }

  /** From 0 to 1: the slower one of time and records. */
  get progress(): number {
    if (this.#latest === undefined) return 0
    const { seconds, minimumRecords } = this.#settings
    const time = seconds === 0 ? 1 : this.#elapsed / seconds
    const records = minimumRecords === 0 ? 1 : this.#count / minimumRecords
    return Math.max(0, Math.min(1, time, records))
  }

  /** Enough is known to fit a model. */
  get isFitDue(): boolean {
    return this.#count > 0 && this.progress >= FITTING_SHARE
  }

  /** Enough is known to guard. */
  get isOver(): boolean {
    return this.#count > 0 && this.progress >= 1
  }

  push(record: TrafficRecord): void {
    const entry = { index: this.#count++, record }
    this.tick(timeOf(record))
    if (!this.#collecting) return
    if (this.#kept.length < SAMPLE_CAP) {
      this.#kept.push(entry)
      return
    }
    const slot = this.#random.integer(this.#count)
    if (slot < SAMPLE_CAP) this.#kept[slot] = entry
  }

  /** Time goes by without traffic too; epoch seconds. */
  tick(now: number): void {
    if (this.#count === 0) return
    const step = now - (this.#latest ?? now)
    this.#elapsed += Math.min(LONGEST_STEP_SECONDS, Math.max(0, step))
    // Records may overtake each other by a second or so.
    if (this.#latest === undefined || step > 0 || step < -LONGEST_STEP_SECONDS) this.#latest = now
  }

  /** Hands over what was kept, in order; from now on records only count. */
  take(): TrafficRecord[] {
    this.#collecting = false
    return this.#kept
      .splice(0)
      .sort((a, b) => a.index - b.index)
      .map(({ record }) => record)
  }
}
