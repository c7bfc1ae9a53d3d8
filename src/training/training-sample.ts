// Collects the broker's own traffic after the start, to learn what is normal.

import type { Random } from '../../models/random.js'
import { timeOf, type TrafficRecord } from '../record.js'

/** How long to learn. */
export interface LearnSettings {
  /** Minimum duration in packet time. */
  seconds: number
  /** Minimum number of records. */
  minimumRecords: number
}

/** Maximum records in memory. Beyond it, a uniform sample is kept. */
export const SAMPLE_CAP = 20_000

/** A longer step means that the clock was set: it counts as this long, a step back as 0. */
const MAX_STEP_SECONDS = 60

/**
 * Share of the learning after which the model is fitted. The rest is unseen traffic that determines the alert limits.
 */
const FITTING_SHARE = 0.7

/** Collects training records: a uniform sample of bounded size (Vitter's algorithm R). */
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

  /** Number of records seen. */
  get seen(): number {
    return this.#count
  }

  /** Progress from 0 to 1: the lower of time and records. */
  get progress(): number {
    if (this.#latest === undefined) return 0
    const { seconds, minimumRecords } = this.#settings
    const time = seconds === 0 ? 1 : this.#elapsed / seconds
    const records = minimumRecords === 0 ? 1 : this.#count / minimumRecords
    return Math.max(0, Math.min(1, time, records))
  }

  /** Whether there are enough records to fit a model. */
  get isFitDue(): boolean {
    return this.#count > 0 && this.progress >= FITTING_SHARE
  }

  /** Whether there are enough records to start guarding. */
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

  /** Advances the time, also without traffic; epoch seconds. */
  tick(now: number): void {
    if (this.#count === 0) return
    const step = now - (this.#latest ?? now)
    this.#elapsed += Math.min(MAX_STEP_SECONDS, Math.max(0, step))
    // Records may be out of order by a second or so.
    if (this.#latest === undefined || step > 0 || step < -MAX_STEP_SECONDS) this.#latest = now
  }

  /** Returns the sample in order. Later records are only counted. */
  take(): TrafficRecord[] {
    this.#collecting = false
    return this.#kept
      .splice(0)
      .sort((a, b) => a.index - b.index)
      .map(({ record }) => record)
  }
}
