// How surprising the latest records were, for those that answer them or pass on what came with them.

import type { RecordContext } from '../features/context.js'

/** Records remembered; what refers to an older one is judged alone. */
const REMEMBERED = 65_536

/** A ring of fixed size, by the records' numbers. One for each source of records. */
export class SurpriseMemory {
  readonly #records = new Float64Array(REMEMBERED).fill(-1)
  readonly #surprises = new Float64Array(REMEMBERED)

  set(record: number, surprise: number): void {
    const place = record % REMEMBERED
    this.#records[place] = record
    this.#surprises[place] = surprise
  }

  /** undefined where the record is not remembered. */
  get(record: number): number | undefined {
    const place = record % REMEMBERED
    return this.#records[place] === record ? this.#surprises[place] : undefined
  }

  /**
   * A record's surprise: the highest of its own, that of the least surprising of its references, and that of
   * the most surprising of its origins.
   */
  withReferences(own: number, { references, origins }: Pick<RecordContext, 'references' | 'origins'>): number {
    let least = Infinity
    for (const record of references) least = Math.min(least, this.get(record) ?? Infinity)
    let most = least === Infinity ? own : Math.max(own, least)
    for (const record of origins) most = Math.max(most, this.get(record) ?? 0)
    return most
  }
}
