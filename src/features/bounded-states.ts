// State for each of many keys, with a cap on how many an attacker can make us keep.

/** Anything that remembers whether it was used since room was last needed. */
export interface Recent {
  recent: boolean
}

/** A map of states; at the cap one that was not used lately makes room (second chance), and is counted. */
export class BoundedStates<K, S extends Recent> {
  /** States forgotten for want of room. */
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

  /** States kept now. */
  get size(): number {
    return this.#states.size
  }

  /** The state of a key, made where there is none. */
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
