// A database in memory that a test can delay or make fail.

import type { Database, KeyRange } from '../../../broker/core/store.js'

/** A written batch: `key=value`, or `-key` for a deletion. */
export type Batch = string[]

interface Operation {
  type: 'put' | 'del'
  key: string
  value?: Buffer
}

/** The methods of a database that the store uses. */
export class FakeDatabase {
  readonly data = new Map<string, Buffer>()
  /** All batches, including failed ones. */
  readonly batches: Batch[] = []
  /** `sync` option of each batch. */
  readonly synced: boolean[] = []
  /** While set, batches and `open` fail with it. */
  failure: Error | undefined
  opened = 0
  closed = 0
  isOpen = true
  /** Batches that are held. */
  #held: (() => void)[] | undefined

  /** This database, with the type that the store expects. */
  get database(): Database {
    return this as unknown as Database
  }

  /** Holds batches until {@link release}. */
  hold(): void {
    this.#held = []
  }

  /** Whether a batch is held. */
  get isHolding(): boolean {
    return (this.#held?.length ?? 0) > 0
  }

  /** Writes held batches; holds further ones if `hold` is set. */
  release(hold = false): void {
    const held = this.#held ?? []
    this.#held = hold ? [] : undefined
    for (const write of held) write()
  }

  async batch(operations: readonly Operation[], { sync = false }: { sync?: boolean } = {}): Promise<void> {
    this.batches.push(
      operations.map(({ type, key, value }) => (type === 'del' ? `-${key}` : `${key}=${value?.toString()}`))
    )
    this.synced.push(sync)
    await new Promise<void>(resolve => {
      if (this.#held === undefined) setImmediate(resolve)
      else this.#held.push(resolve)
    })
    if (!this.isOpen) throw new Error('the database is not open')
    if (this.failure !== undefined) throw this.failure
    for (const { type, key, value } of operations) {
      if (type === 'del') this.data.delete(key)
      else this.data.set(key, Buffer.from(value as Buffer))
    }
  }

  async get(key: string): Promise<Buffer | undefined> {
    return this.data.get(key)
  }

  async *keys(range: KeyRange): AsyncGenerator<string> {
    for (const [key] of this.#within(range)) yield key
  }

  async *iterator(range: KeyRange): AsyncGenerator<[string, Buffer]> {
    yield* this.#within(range)
  }

  async open(): Promise<void> {
    this.opened++
    if (this.failure !== undefined) throw this.failure
    this.isOpen = true
  }

  async close(): Promise<void> {
    this.closed++
    this.isOpen = false
  }

  #within({ gt = '', gte = '', lt, limit = Infinity }: KeyRange): [string, Buffer][] {
    const keys = [...this.data.keys()].filter(key => key > gt && key >= gte && key < lt).sort()
    return keys.slice(0, limit).map(key => [key, this.data.get(key) as Buffer])
  }
}
