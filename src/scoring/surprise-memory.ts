// How surprising the latest records were, for those that only answer them.

/** Records remembered; an answer to an older one is judged alone. */
const REMEMBERED = 65_536

/** A ring of fixed size, by the records' numbers. One for each source of records. */
export class SurpriseMemory {
  readonly #records = new Float64Array(REMEMBERED).fill(-1)
  readonly #surprises = new Float64Array(REMEMBERED)

  set (record: number, surprise: number): void {
    const place = record % REMEMBERED
    this.#records[place] = record
    this.#surprises[place] = surprise
  }

  /** undefined where the record is not remembered. */
  get (record: number): number | undefined {
    const place = record % REMEMBERED
    return this.#records[place] === record ? this.#surprises[place] : undefined
  }

  /** The surprise of an answer: its own, or that of the least surprising record that it answers, whichever is higher. */
  withAnswered (own: number, references: readonly number[]): number {
    let least = Infinity
    for (const record of references) least = Math.min(least, this.get(record) ?? Infinity)
    return least === Infinity ? own : Math.max(own, least)
  }
}
