// Writes to the database: all changes of an event loop turn in one atomic batch.

import type { BatchOperation, Level } from 'level'

/** The database of the store: LevelDB, or MemoryLevel without persistence. */
export type Database = Level

/** Key range: after `gt` or from `gte`, and before `lt`. */
export interface KeyRange {
  gt?: string
  gte?: string
  lt: string
  limit?: number
}

/** A key and its value. */
export type Entry = [key: string, value: Buffer]

/** A value, a function that creates it when it is written, or null to delete. */
type Change = Buffer | (() => Buffer) | null

/** Callbacks for failure and recovery of the disk. */
export interface StoreListener {
  /** A batch cannot be written. The store retries; this is called once until `onRecovered`. */
  onFailed: (error: Error) => void
  onRecovered: () => void
}

type Changes = Map<string, Change>
type Operation = BatchOperation<Database, string, Buffer>

const RETRY_MS = 1_000
const BUFFERS = { keyEncoding: 'utf8', valueEncoding: 'buffer' } as const

/**
 * Collects changes and writes them at the end of the turn. If a batch fails, the store reopens the database and
 * retries, because LevelDB refuses all writes after a failed one. Until the batch is written, nothing that depends on
 * it is acknowledged.
 */
export class Store {
  /** Number of the batch that collects current changes. */
  batch = 1
  /** Number of the last stored batch. */
  stored = 0
  /** Number of changes so far; callers compare it to detect changes in between. */
  changes = 0
  #collected: Changes = new Map()
  /** Keys in `#collected` that are new to the database: deleted in the same turn, they are not written at all. */
  #added = new Set<string>()
  #writing: Changes | undefined
  /** Whether there were changes since the last batch started, including undone ones. */
  #isDirty = false
  #isScheduled = false
  #hasFailed = false
  #isClosed = false
  readonly #waiting: { batch: number; done: () => void }[] = []
  readonly #watchers = new Set<() => void>()
  readonly #db: Database
  readonly #listener: StoreListener
  readonly #sync: boolean

  /**
   * @param db an open database
   * @param sync whether to flush each batch to the disk, to survive a power failure
   */
  constructor(db: Database, listener: StoreListener, sync = false) {
    this.#db = db
    this.#listener = listener
    this.#sync = sync
  }

  /** Number of the batch that contains the latest change. */
  get latest(): number {
    return this.#isDirty ? this.batch : this.batch - 1
  }

  /** Whether all changes are stored. */
  get isSettled(): boolean {
    return this.latest <= this.stored
  }

  /** Whether writing currently fails. */
  get isFailing(): boolean {
    return this.#hasFailed
  }

  /** @param value a function is called when the batch is written: for values that change often within a turn */
  put(key: string, value: Buffer | (() => Buffer)): void {
    this.#collected.set(key, value)
    this.#added.delete(key)
    this.#schedule()
  }

  /** Puts a value under a key that was never used before. */
  add(key: string, value: Buffer): void {
    this.#collected.set(key, value)
    this.#added.add(key)
    this.#schedule()
  }

  del(key: string): void {
    if (this.#added.delete(key)) this.#collected.delete(key)
    else this.#collected.set(key, null)
    this.#schedule()
  }

  /** Returns a value, including changes not yet written; undefined if there is none. */
  async get(key: string): Promise<Buffer | undefined> {
    const changed = this.#collected.has(key) ? this.#collected.get(key) : this.#writing?.get(key)
    if (changed !== undefined) return typeof changed === 'function' ? changed() : (changed ?? undefined)
    return await this.#db.get<string, Buffer>(key, BUFFERS)
  }

  /** Yields keys in order, once all changes so far are stored. */
  async *keys(range: KeyRange): AsyncGenerator<string> {
    await this.settled()
    yield* this.#db.keys({ ...range, keyEncoding: 'utf8' })
  }

  /** Yields entries in key order, once all changes so far are stored. */
  async *entries(range: KeyRange): AsyncGenerator<Entry> {
    await this.settled()
    yield* this.#db.iterator<string, Buffer>({ ...range, ...BUFFERS })
  }

  /** Calls back once all changes so far are stored: synchronously if they already are. */
  whenStored(done: () => void): void {
    if (this.isSettled) done()
    else this.#waiting.push({ batch: this.latest, done })
  }

  /** Resolves once all changes so far are stored. */
  settled(): Promise<void> {
    return new Promise(resolve => {
      this.whenStored(resolve)
    })
  }

  /**
   * Calls back after each stored batch.
   *
   * @returns a function that stops it
   */
  watch(onStored: () => void): () => void {
    this.#watchers.add(onStored)
    return () => {
      this.#watchers.delete(onStored)
    }
  }

  /**
   * Writes pending changes and closes the database.
   *
   * @returns the number of changes that could not be written within `limitMs` and are lost
   */
  async close(limitMs = 5_000): Promise<{ lost: number }> {
    const limit = performance.now() + limitMs
    while (!this.isSettled && performance.now() < limit) {
      await Promise.race([
        this.settled(),
        new Promise(resolve => {
          setTimeout(resolve, 100)
        })
      ])
    }
    this.#isClosed = true
    await this.#db.close()
    return { lost: this.#collected.size + (this.#writing?.size ?? 0) }
  }

  #schedule(): void {
    this.changes++
    this.#isDirty = true
    if (this.#isScheduled || this.#writing !== undefined) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      void this.#write()
    })
  }

  async #write(): Promise<void> {
    const number = this.batch++
    this.#writing = this.#collected
    this.#collected = new Map()
    this.#added.clear()
    this.#isDirty = false
    await this.#writeUntilStored(this.#writing)
    this.#onWritten(number)
  }

  #onWritten(number: number): void {
    this.#writing = undefined
    this.stored = number
    this.#notify()
    if (this.#isDirty && !this.#isScheduled) void this.#write()
  }

  async #writeUntilStored(changes: Changes): Promise<void> {
    const operations: Operation[] = []
    for (const [key, value] of changes) {
      operations.push(
        value === null
          ? { type: 'del', key }
          : { type: 'put', key, value: typeof value === 'function' ? value() : value }
      )
    }
    for (;;) {
      try {
        if (operations.length > 0) await this.#db.batch(operations, { ...BUFFERS, sync: this.#sync } as object)
        break
      } catch (error) {
        if (this.#isClosed) {
          await new Promise(() => {})
          return
        }
        this.#fail(error as Error)
        await this.#reopen()
      }
    }
    if (this.#hasFailed) this.#listener.onRecovered()
    this.#hasFailed = false
  }

  #fail(error: Error): void {
    if (!this.#hasFailed) this.#listener.onFailed(error)
    this.#hasFailed = true
  }

  async #reopen(): Promise<void> {
    await new Promise(resolve => {
      setTimeout(resolve, RETRY_MS).unref()
    })
    try {
      if (!this.#isClosed) await this.#db.close()
      if (!this.#isClosed) await this.#db.open()
    } catch {
      // The next batch fails again.
    }
  }

  #notify(): void {
    const ready = this.#waiting.filter(({ batch }) => batch <= this.stored)
    if (ready.length > 0) this.#waiting.splice(0, ready.length)
    for (const { done } of ready) done()
    for (const onStored of this.#watchers) onStored()
  }
}
