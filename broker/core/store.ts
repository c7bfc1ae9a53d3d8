// What is written to the disk: everything that changes within a turn of the event loop in one atomic batch.

import type { BatchOperation, Level } from 'level'

/** The database behind the store: LevelDB, or memory where nothing is to last. */
export type Database = Level

/** Keys from `gt` or `gte` on and before `lt`. */
export interface KeyRange {
  gt?: string
  gte?: string
  lt: string
  limit?: number
}

/** A stored value, and where it lies. */
export type Entry = [key: string, value: Buffer]

/** A value, one that is made when it is written, or null: removed. */
type Change = Buffer | (() => Buffer) | null

/** Whoever wants to hear how the writing goes. */
export interface StoreListener {
  /** A batch could not be written; it is tried again until it is. Told once until `onRecovered`. */
  onFailed: (error: Error) => void
  onRecovered: () => void
}

type Changes = Map<string, Change>
type Operation = BatchOperation<Database, string, Buffer>

const RETRY_MS = 1_000
const BUFFERS = { keyEncoding: 'utf8', valueEncoding: 'buffer' } as const

/**
 * Collects changes and writes them when the turn is over. A batch that fails is kept and tried again, on a database
 * that is opened anew: LevelDB refuses every write after one that failed. Until it is written nothing that depends on
 * it is acknowledged, so that no client believes what the disk does not have.
 */
export class Store {
  /** The number of the batch that takes the changes made now. */
  batch = 1
  /** The number of the last batch that is on the disk. */
  stored = 0
  /** Changes so far: whoever compares knows whether something was to be stored in between. */
  changes = 0
  #collected: Changes = new Map()
  /** Keys of `#collected` that the database has never had: removed in the same turn, they leave no trace. */
  #added = new Set<string>()
  #writing: Changes | undefined
  /** Whether there were changes since the last batch was begun, be they undone or not. */
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
   * @param db open
   * @param sync whether each batch is forced to the disk, so that not even a power cut loses it
   */
  constructor(db: Database, listener: StoreListener, sync = false) {
    this.#db = db
    this.#listener = listener
    this.#sync = sync
  }

  /** The number of the batch after which all changes made so far are stored. */
  get latest(): number {
    return this.#isDirty ? this.batch : this.batch - 1
  }

  /** Whether everything is on the disk. */
  get isSettled(): boolean {
    return this.latest <= this.stored
  }

  /** Whether the disk refuses what is written. */
  get isFailing(): boolean {
    return this.#hasFailed
  }

  /** @param value made at the end of the turn where it is a function: for what changes many times in one */
  put(key: string, value: Buffer | (() => Buffer)): void {
    this.#collected.set(key, value)
    this.#added.delete(key)
    this.#schedule()
  }

  /** Puts under a key that was never used before. */
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

  /** A value, what was changed a moment ago included; undefined for none. */
  async get(key: string): Promise<Buffer | undefined> {
    const changed = this.#collected.has(key) ? this.#collected.get(key) : this.#writing?.get(key)
    if (changed !== undefined) return typeof changed === 'function' ? changed() : (changed ?? undefined)
    return await this.#db.get<string, Buffer>(key, BUFFERS)
  }

  /** Keys in their order, when all changes made so far are stored. */
  async *keys(range: KeyRange): AsyncGenerator<string> {
    await this.settled()
    yield* this.#db.keys({ ...range, keyEncoding: 'utf8' })
  }

  /** Entries in the order of their keys, when all changes made so far are stored. */
  async *entries(range: KeyRange): AsyncGenerator<Entry> {
    await this.settled()
    yield* this.#db.iterator<string, Buffer>({ ...range, ...BUFFERS })
  }

  /** Calls back when the changes made so far are stored: at once where they are. */
  whenStored(done: () => void): void {
    if (this.isSettled) done()
    else this.#waiting.push({ batch: this.latest, done })
  }

  /** Resolves when the changes made so far are stored. */
  settled(): Promise<void> {
    return new Promise(resolve => {
      this.whenStored(resolve)
    })
  }

  /** Calls back whenever a batch has been stored, until what is returned is called. */
  watch(onStored: () => void): () => void {
    this.#watchers.add(onStored)
    return () => {
      this.#watchers.delete(onStored)
    }
  }

  /** Writes what is left and closes the database; what cannot be written by then is lost, and counted. */
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
    await this.#untilWritten(this.#writing)
    this.#wrote(number)
  }

  #wrote(number: number): void {
    this.#writing = undefined
    this.stored = number
    this.#tell()
    if (this.#isDirty && !this.#isScheduled) void this.#write()
  }

  async #untilWritten(changes: Changes): Promise<void> {
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
      // Counted by the batch, which fails again.
    }
  }

  #tell(): void {
    const ready = this.#waiting.filter(({ batch }) => batch <= this.stored)
    if (ready.length > 0) this.#waiting.splice(0, ready.length)
    for (const { done } of ready) done()
    for (const onStored of this.#watchers) onStored()
  }
}
