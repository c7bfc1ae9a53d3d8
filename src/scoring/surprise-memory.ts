// Keeps the surprise of recent records for the records that answer or forward them.

import type { RecordContext } from '../features/record-context.js'

/** Records that refer to older ones are scored without them. */
const CAPACITY = 65_536

/** A ring buffer of fixed size, indexed by record number. Each source of records needs its own. */
export class SurpriseMemory {
  readonly #records = new Float64Array(CAPACITY).fill(-1)
  readonly #surprises = new Float64Array(CAPACITY)

  set(record: number, surprise: number): void {
    const slot = record % CAPACITY
    this.#records[slot] = record
    this.#surprises[slot] = surprise
  }

  /** Returns undefined if the record is no longer stored. */
  get(record: number): number | undefined {
    const slot = record % CAPACITY
    return this.#records[slot] === record ? this.#surprises[slot] : undefined
  }

  /**
   * Returns a record's surprise: the highest of its own, that of its least surprising reference, and that of its most
   * surprising origin.
   */
  withReferences(own: number, { references, origins }: Pick<RecordContext, 'references' | 'origins'>): number {
    let least = Infinity
    for (const record of references) least = Math.min(least, this.get(record) ?? Infinity)
    let most = least === Infinity ? own : Math.max(own, least)
    for (const record of origins) most = Math.max(most, this.get(record) ?? 0)
    return most
  }
}
