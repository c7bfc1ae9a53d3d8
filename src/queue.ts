// A queue with fast removal of its first item.

/** Removed items are dropped from the array once there are this many, and more than half of all. */
const COMPACT_ITEMS = 256

/** A first-in, first-out queue. Removal takes constant time on average. */
export class Queue<Item> {
  #items: Item[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  /** The item that was added first. */
  get first(): Item | undefined {
    return this.#head < this.#items.length ? this.#items[this.#head] : undefined
  }

  push(item: Item): void {
    this.#items.push(item)
  }

  /** Removes and returns the first item. The queue must not be empty. */
  shift(): Item {
    const item = this.#items[this.#head++]
    if (this.#head === this.#items.length) {
      this.#items.length = 0
      this.#head = 0
    } else if (this.#head > COMPACT_ITEMS && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  /** Removes and returns all items. */
  drain(): Item[] {
    const items = this.#items.slice(this.#head)
    this.#items = []
    this.#head = 0
    return items
  }
}
