// A database in memory that is as slow as it is told to be, and fails when it is told to.

import type { Database, KeyRange } from '../../../broker/core/store.js'

/** A batch as the store wrote it: `key=value`, or `-key` for what is removed. */
export type Batch = string[]

interface Operation {
  type: 'put' | 'del'
  key: string
  value?: Buffer
}

/** What the store needs of a database. */
export class FakeDatabase {
  readonly data = new Map<string, Buffer>()
  /** Batches that were tried, those that failed included. */
  readonly batches: Batch[] = []
  /** Whether each batch was to be forced to the disk. */
  readonly synced: boolean[] = []
  /** Batches, and opening, fail while it says so. */
  failure: Error | undefined
  opened = 0
  closed = 0
  isOpen = true
  /** Batches that are being written. */
  #held: (() => void)[] | undefined

  /** As the store wants it. */
  get database(): Database {
    return this as unknown as Database
  }

  /** Writes nothing until {@link release}. */
  hold(): void {
    this.#held = []
  }

  /** Whether something is to be written. */
  get isHolding(): boolean {
    return (this.#held?.length ?? 0) > 0
  }

  /** Writes what is held, and goes on holding or not. */
  release(goOn = false): void {
    const held = this.#held ?? []
    this.#held = goOn ? [] : undefined
    for (const go of held) go()
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
