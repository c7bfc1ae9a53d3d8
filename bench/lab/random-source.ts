// Seeded random values in the forms that devices and attacks need.

import { createHash } from 'node:crypto'
import { Random } from '../../models/random.js'

const HEX = '0123456789abcdef'
const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789'

/** Derives a seed for a name, from 0 to 2^32 - 1. */
export function seedFor(seed: number, name: string): number {
  return createHash('sha256').update(`${seed} ${name}`).digest().readUInt32BE(0)
}

/** A seeded random source. */
export class RandomSource {
  readonly #random: Random

  constructor(seed: number) {
    this.#random = new Random(seed)
  }

  /** Returns a number in [from, to). */
  between(from: number, to: number): number {
    return from + this.#random.uniform() * (to - from)
  }

  /** Returns an integer from `from` to `to`, both included. */
  integer(from: number, to: number): number {
    return from + this.#random.integer(to - from + 1)
  }

  /** Returns true with the given probability. */
  chance(share: number): boolean {
    return this.#random.uniform() < share
  }

  /** Returns one of the choices. */
  oneOf<T>(choices: readonly T[]): T {
    return choices[this.#random.integer(choices.length)]
  }

  /** Returns the items in random order. */
  shuffled<T>(items: readonly T[]): T[] {
    const indices = items.map((_, i) => i)
    this.#random.shuffle(indices)
    return indices.map(index => items[index])
  }

  /** Returns a normally distributed number. */
  normal(mean: number, deviation: number): number {
    return mean + deviation * this.#random.normal()
  }

  /** Returns an exponentially distributed waiting time, as between independent events. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.#random.uniform())
  }

  hex(digits: number): string {
    return this.text(digits, HEX)
  }

  /** Returns random characters; by default lower-case letters and digits. */
  text(length: number, alphabet = LETTERS): string {
    let text = ''
    for (let i = 0; i < length; i++) text += alphabet[this.#random.integer(alphabet.length)]
    return text
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length)
    for (let i = 0; i < length; i++) bytes[i] = this.#random.uint32() >>> 24
    return bytes
  }
}
