// A database that forgets: for brokers that are told to keep nothing, in place of LevelDB.

/** Keys from `gte` on and before `lt`. */
interface KeyRange {
  gte: string
  lt: string
}

type Operation = { type: 'put', key: string, value: unknown } | { type: 'del', key: string }

/** The part of a LevelDB that the store and aedes-persistence-level call; keys are in order of their code units. */
export class MemoryDatabase {
  private readonly entries = new Map<string, unknown>()

  async get (key: string): Promise<unknown> {
    return this.entries.get(key)
  }

  async put (key: string, value: unknown): Promise<void> {
    this.entries.set(key, value)
  }

  async del (key: string): Promise<void> {
    this.entries.delete(key)
  }

  async clear (range: KeyRange): Promise<void> {
    for (const key of this.within(range)) this.entries.delete(key)
  }

  /** With operations they are done; without, they are collected until `write`. */
  batch (operations?: readonly Operation[]): Promise<void> | MemoryBatch {
    if (operations === undefined) return new MemoryBatch(collected => { this.apply(collected) })
    this.apply(operations)
    return Promise.resolve()
  }

  async * keys (range: KeyRange): AsyncGenerator<string> {
    yield * this.within(range)
  }

  async * values (range: KeyRange): AsyncGenerator<unknown> {
    for (const key of this.within(range)) {
      const value = this.entries.get(key)
      if (value !== undefined) yield value
    }
  }

  async close (): Promise<void> {
    this.entries.clear()
  }

  private within ({ gte, lt }: KeyRange): string[] {
    return [...this.entries.keys()].filter(key => key >= gte && key < lt).sort()
  }

  private apply (operations: readonly Operation[]): void {
    for (const operation of operations) {
      if (operation.type === 'put') this.entries.set(operation.key, operation.value)
      else this.entries.delete(operation.key)
    }
  }
}

class MemoryBatch {
  private readonly operations: Operation[] = []

  constructor (private readonly apply: (operations: readonly Operation[]) => void) {}

  del (key: string): this {
    this.operations.push({ type: 'del', key })
    return this
  }

  async write (): Promise<void> {
    this.apply(this.operations)
  }
}
