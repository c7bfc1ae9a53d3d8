// Splits the records into the batches of equation 1.

import { timeOf, type TrafficRecord } from '../record.js'

/** When a batch ends: at a number of records or after a time, whichever comes first. */
export interface BatchLimits {
  /** Records. */
  records: number
  /** Time since its first record, ms. Packet time, so that a replay yields the same batches as the live run. */
  milliseconds: number
}

/** Collects records until a batch is full. */
export class Batches {
  #batch: TrafficRecord[] = []
  #startedAt = 0
  readonly #limits: BatchLimits
  readonly #onBatch: (records: TrafficRecord[]) => void

  constructor(limits: BatchLimits, onBatch: (records: TrafficRecord[]) => void) {
    this.#limits = limits
    this.#onBatch = onBatch
  }

  push(record: TrafficRecord): void {
    const time = timeOf(record)
    if (this.#batch.length > 0 && this.#isOver(time)) this.flush()
    if (this.#batch.length === 0) this.#startedAt = time
    this.#batch.push(record)
    if (this.#batch.length >= this.#limits.records) this.flush()
  }

  /**
   * Ends the batch if its time is over and no further record arrives.
   *
   * @param now epoch seconds, on the clock of the records
   */
  tick(now: number): void {
    if (this.#batch.length > 0 && this.#isOver(now)) this.flush()
  }

  /** Ends the batch now. */
  flush(): void {
    if (this.#batch.length === 0) return
    const records = this.#batch
    this.#batch = []
    this.#onBatch(records)
  }

  /** Also true after the clock was set back. Otherwise the batch would wait for the old time. */
  #isOver(time: number): boolean {
    const elapsedMs = (time - this.#startedAt) * 1_000
    return elapsedMs >= this.#limits.milliseconds || elapsedMs < -this.#limits.milliseconds
  }
}
