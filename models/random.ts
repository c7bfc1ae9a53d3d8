// The seeded random number generator of the detectors.

/**
 * The xoshiro128** 1.1 generator (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021). The
 * seed is expanded to its state by the 32-bit finaliser of MurmurHash3 over a Weyl sequence, so that adjacent seeds
 * give unrelated streams. Not cryptographically secure.
 */
export class Random {
  readonly #state = new Uint32Array(4)

  /** @param seed any integer that a double represents exactly */
  constructor(seed: number) {
    let word = (seed ^ Math.imul(Math.floor(seed / 2 ** 32), 0x85ebca6b)) >>> 0
    for (let i = 0; i < 4; i++) {
      word = (word + 0x9e3779b9) >>> 0
      this.#state[i] = mix(word)
    }
  }

  /** Returns an integer in [0, 2^32). */
  uint32(): number {
    const s = this.#state
    const result = Math.imul(rotate(Math.imul(s[1], 5), 7), 9) >>> 0
    const shifted = s[1] << 9
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= shifted
    s[3] = rotate(s[3], 11)
    return result
  }

  /** Returns a double in [0, 1) with 53 random bits. */
  uniform(): number {
    return ((this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53
  }

  /** Returns an unbiased integer in [0, bound), for a bound of at most 2^32. */
  integer(bound: number): number {
    const limit = 2 ** 32 - (2 ** 32 % bound)
    let value = this.uint32()
    while (value >= limit) value = this.uint32()
    return value % bound
  }

  /** Draws from the standard normal distribution (Marsaglia's polar method). */
  normal(): number {
    for (;;) {
      const u = 2 * this.uniform() - 1
      const v = 2 * this.uniform() - 1
      const square = u * u + v * v
      if (square > 0 && square < 1) return u * Math.sqrt((-2 * Math.log(square)) / square)
    }
  }

  /** Moves `count` elements, drawn without replacement, to the front of `items` (Fisher and Yates). */
  draw(items: { [index: number]: number; readonly length: number }, count: number): void {
    for (let i = 0; i < count; i++) {
      const j = i + this.integer(items.length - i)
      const item = items[i]
      items[i] = items[j]
      items[j] = item
    }
  }

  /** Shuffles `items` in place. */
  shuffle(items: { [index: number]: number; readonly length: number }): void {
    this.draw(items, items.length)
  }
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}

function mix(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
  return (word ^ (word >>> 16)) >>> 0
}
