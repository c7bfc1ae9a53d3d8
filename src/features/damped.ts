// Counts that decay with packet time, so that they describe recent activity.

/** Time constants of the decay, seconds: a count drops to 1/e after each. */
export const WINDOWS = [1, 10, 60] as const

/** Index in {@link WINDOWS}. */
export type Window = 0 | 1 | 2

/** Minimum assumed age of a set of counts, as a share of the window. */
const MIN_AGE = 0.25

/**
 * A fixed set of counts, each over all windows (after AfterImage of Kitsune, Mirsky et al. 2018). An event of age t
 * counts exp(-t / window). Counts younger than a window or two are scaled up, as if the window had been full all along.
 */
export class DampedCounts {
  readonly #values: Float64Array
  #time = -Infinity
  #since = -Infinity
  /** Share of a steady rate's count that each window has reached. */
  readonly #fills = new Float64Array(WINDOWS.length).fill(1)

  /** @param size number of counts */
  constructor(size: number) {
    this.#values = new Float64Array(size * WINDOWS.length)
  }

  /** Decays the counts to `time`, epoch seconds. If the clock steps back, nothing decays. */
  decay(time: number): void {
    const elapsed = time - this.#time
    if (elapsed === 0) return
    if (this.#since === -Infinity) this.#since = time
    this.#time = time
    for (let w = 0; w < WINDOWS.length; w++)
      this.#fills[w] = 1 - Math.exp(-Math.max(MIN_AGE, (time - this.#since) / WINDOWS[w]))
    if (!(elapsed > 0)) return
    const values = this.#values
    for (let w = 0; w < WINDOWS.length; w++) {
      const factor = Math.exp(-elapsed / WINDOWS[w])
      for (let i = w; i < values.length; i += WINDOWS.length) values[i] *= factor
    }
  }

  /** Adds to a count, in all windows. */
  add(count: number, amount: number): void {
    const values = this.#values
    for (let i = count * WINDOWS.length, w = 0; w < WINDOWS.length; w++) values[i + w] += amount
  }

  get(count: number, window: Window): number {
    return this.#values[count * WINDOWS.length + window] / this.#fills[window]
  }
}

const SKETCH_WORDS = 8
const SKETCH_BITS = SKETCH_WORDS * 32
/** Lifetime of one generation of the sketch, seconds. */
const GENERATION_SECONDS = 60

/**
 * Estimates the number of distinct items in the last one to two minutes: two alternating bitmaps with linear counting
 * (Whang et al. 1990). The maximum is {@link DistinctSketch.max}.
 */
export class DistinctSketch {
  /** Estimate of a full sketch. */
  static readonly max = SKETCH_BITS * Math.log(SKETCH_BITS)
  #current = new Uint32Array(SKETCH_WORDS)
  #previous = new Uint32Array(SKETCH_WORDS)
  #since = -Infinity

  /** @param hash of the item, 32 bits */
  add(hash: number, time: number): void {
    this.#rotate(time)
    // The low bits of FNV-1a alone are not uniform.
    const bit = (hash ^ (hash >>> 15)) & (SKETCH_BITS - 1)
    this.#current[bit >> 5] |= 1 << (bit & 31)
  }

  /** Returns the estimate at a time. */
  count(time: number): number {
    this.#rotate(time)
    let set = 0
    for (let i = 0; i < SKETCH_WORDS; i++) set += bitsIn(this.#current[i] | this.#previous[i])
    return set === SKETCH_BITS ? DistinctSketch.max : -SKETCH_BITS * Math.log(1 - set / SKETCH_BITS)
  }

  #rotate(time: number): void {
    const age = Math.abs(time - this.#since)
    if (age < GENERATION_SECONDS) return
    const oldest = this.#previous
    this.#previous = this.#current
    this.#current = oldest.fill(0)
    if (age >= 2 * GENERATION_SECONDS) this.#previous.fill(0)
    this.#since = time
  }
}

function bitsIn(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555)
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
