// Draws from a seeded source in the forms that devices and attacks need.

import { createHash } from 'node:crypto'
import { Random } from '../../models/random.js'

const HEX = '0123456789abcdef'
const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789'

/** A seed of its own for whatever is called `name`, from 0 to 2^32 - 1. */
export function seedFor(seed: number, name: string): number {
  return createHash('sha256').update(`${seed} ${name}`).digest().readUInt32BE(0)
}

/** A seeded source of choices. */
export class Chance {
  readonly #random: Random

  constructor(seed: number) {
    this.#random = new Random(seed)
  }

  /** A number in [from, to). */
  between(from: number, to: number): number {
    return from + this.#random.uniform() * (to - from)
  }

  /** A whole number from `from` to `to`, both included. */
  whole(from: number, to: number): number {
    return from + this.#random.integer(to - from + 1)
  }

  /** True in a share of the cases. */
  happens(share: number): boolean {
    return this.#random.uniform() < share
  }

  /** One of several. */
  oneOf<T>(choices: readonly T[]): T {
    return choices[this.#random.integer(choices.length)]
  }

  /** The same in another order. */
  shuffled<T>(items: readonly T[]): T[] {
    const places = items.map((_, i) => i)
    this.#random.shuffle(places)
    return places.map(place => items[place])
  }

  /** A draw from the normal distribution. */
  normal(mean: number, deviation: number): number {
    return mean + deviation * this.#random.normal()
  }

  /** A waiting time whose mean is `mean`: exponential, as between events that know nothing of each other. */
  waiting(mean: number): number {
    return -mean * Math.log(1 - this.#random.uniform())
  }

  hex(digits: number): string {
    return this.text(digits, HEX)
  }

  /** Characters of an alphabet, small letters and digits unless told. */
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
