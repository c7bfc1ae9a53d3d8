// A bounded collection in which the one that was not used lately makes room: the clock algorithm.

/** What can be kept so. */
export interface Evictable {
  /** Set by whoever uses it; cleared when it is passed over. */
  recent: boolean
  /** Where it is kept: the collection's own. */
  slot: number
}

/** Keeps up to `cap` items. Adding costs the same however many came and went before. */
export class SecondChance<T extends Evictable> {
  readonly #cap: number
  readonly #slots: (T | undefined)[] = []
  readonly #free: number[] = []
  #hand = 0

  constructor(cap: number) {
    this.#cap = cap
  }

  /** Items kept now. */
  get size(): number {
    return this.#slots.length - this.#free.length
  }

  /** Adds an item; gives the one that had to make room. */
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

  /** All slots are taken: the first item that was not used since the hand last passed it. */
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
