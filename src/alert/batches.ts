// Cuts the stream of records into the batches of equation 1.

import { timeOf, type TrafficRecord } from '../record.js'

/** When a batch ends: at so many records or so much time, whichever comes first. */
export interface BatchLimits {
  /** Records. */
  records: number
  /** Time from its first record, ms. Packet time, so that a replay cuts where the live run did. */
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
   * Ends a batch for which no further record comes.
   *
   * @param now epoch seconds, by the clock of the records
   */
  tick(now: number): void {
    if (this.#batch.length > 0 && this.#isOver(now)) this.flush()
  }

  /** Ends the batch as it is. */
  flush(): void {
    if (this.#batch.length === 0) return
    const records = this.#batch
    this.#batch = []
    this.#onBatch(records)
  }

  /** A clock that was set back ends a batch too: it would otherwise wait until the old time comes again. */
  #isOver(time: number): boolean {
    const elapsedMs = (time - this.#startedAt) * 1_000
    return elapsedMs >= this.#limits.milliseconds || elapsedMs < -this.#limits.milliseconds
  }
}
