// Per-key state with a cap, because an attacker can create any number of keys.

/** State with a flag for second-chance eviction. */
export interface Recent {
  /** Whether it was used since the last eviction pass. */
  recent: boolean
}

/** A map of states. At the cap it evicts a state that was not used recently (second chance) and counts it. */
export class BoundedStates<K, S extends Recent> {
  /** States evicted because the map was full. */
  evicted = 0
  readonly #states = new Map<K, S>()
  readonly #cap: number
  readonly #create: (key: K) => S
  readonly #onEvicted: (state: S) => void

  constructor(cap: number, create: (key: K) => S, onEvicted: (state: S) => void = () => {}) {
    this.#cap = cap
    this.#create = create
    this.#onEvicted = onEvicted
  }

  /** Number of states. */
  get size(): number {
    return this.#states.size
  }

  /** Returns the state of a key, creating it if necessary. */
  of(key: K): S {
    let state = this.#states.get(key)
    if (state === undefined) {
      if (this.#states.size >= this.#cap) this.#evict()
      state = this.#create(key)
      this.#states.set(key, state)
    }
    state.recent = true
    return state
  }

  #evict(): void {
    for (const [key, state] of this.#states) {
      this.#states.delete(key)
      if (!state.recent) {
        this.evicted++
        this.#onEvicted(state)
        return
      }
      state.recent = false
      this.#states.set(key, state)
    }
  }
}
