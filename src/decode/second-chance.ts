// A bounded collection with second-chance (clock) eviction.

/** An item that can be evicted. */
export interface Evictable {
  /** Set on use, cleared when the clock hand passes. */
  recent: boolean
  /** Slot in the collection, managed by it. */
  slot: number
}

/** Keeps up to `cap` items. The cost of adding is independent of the number of earlier items. */
export class SecondChance<T extends Evictable> {
  readonly #cap: number
  readonly #slots: (T | undefined)[] = []
  readonly #free: number[] = []
  #hand = 0

  constructor(cap: number) {
    this.#cap = cap
  }

  /** Number of items. */
  get size(): number {
    return this.#slots.length - this.#free.length
  }

  /** Adds an item. Returns the evicted one, if any. */
  add(item: T): T | undefined {
    const evicted = this.size < this.#cap ? undefined : this.#evict()
    item.slot = this.#free.pop() ?? this.#slots.length
    this.#slots[item.slot] = item
    return evicted
  }

  remove({ slot }: T): void {
    this.#slots[slot] = undefined
    this.#free.push(slot)
  }

  /** Removes the first item that was not used since the hand last passed it. Requires that all slots are taken. */
  #evict(): T {
    for (;;) {
      const item = this.#slots[this.#hand] as T
      this.#hand = (this.#hand + 1) % this.#cap
      if (!item.recent) {
        this.remove(item)
        return item
      }
      item.recent = false
    }
  }
}
