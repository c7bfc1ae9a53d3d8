// Converts numbers to JSON and back, with validation.

import { DetectorError } from './detector.js'

/** The typed arrays that a saved detector may contain. */
export type SavedArray = Float64Array | Float32Array | Uint32Array | Uint16Array | Uint8Array

/** Encodes the elements' bytes as base64, little-endian (the order of all machines except s390x and old POWER). */
export function toBase64(array: SavedArray): string {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64')
}

interface ArrayKind<T extends SavedArray> {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer): T
}

/**
 * Reads a JSON object field by field. Every method throws `DetectorError('state')` with the field's name if the field
 * is missing or of another type. Only own fields are read, so a `__proto__` key has no effect.
 */
export class StateReader {
  readonly #fields: Record<string, unknown>
  readonly #path: string

  /** @param path name of the object for messages: `iforest`, `encoding.payload` */
  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new DetectorError('state', `${path} is not an object`)
    }
    this.#fields = value as Record<string, unknown>
    this.#path = path
  }

  /** Returns the unchecked field; undefined if missing. */
  raw(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined
  }

  /** Returns a finite number in [min, max]. */
  number(name: string, min = -Infinity, max = Infinity): number {
    const value = this.raw(name)
    if (typeof value !== 'number' || !Number.isFinite(value) || value < min || value > max) {
      throw this.#wrong(
        name,
        Number.isFinite(min) || Number.isFinite(max) ? `a number from ${min} to ${max}` : 'a number'
      )
    }
    return value
  }

  /** Returns an integer in [min, max]. */
  integer(name: string, min: number, max: number): number {
    const value = this.number(name, min, max)
    if (!Number.isInteger(value)) throw this.#wrong(name, 'an integer')
    return value
  }

  /** Returns a string. */
  string(name: string): string {
    const value = this.raw(name)
    if (typeof value !== 'string') throw this.#wrong(name, 'a string')
    return value
  }

  /** Returns an array of strings. */
  strings(name: string): string[] {
    const value = this.raw(name)
    if (!Array.isArray(value) || !value.every(item => typeof item === 'string'))
      throw this.#wrong(name, 'a list of strings')
    return [...value] as string[]
  }

  /** Returns a reader of a nested object. */
  object(name: string): StateReader {
    return new StateReader(this.raw(name), `${this.#path}.${name}`)
  }

  /** Returns a typed array of finite elements that {@link toBase64} wrote, of the given length if any. */
  array<T extends SavedArray>(name: string, kind: ArrayKind<T>, length?: number): T {
    const text = this.string(name)
    const bytes = Buffer.from(text, 'base64')
    if (bytes.length % kind.BYTES_PER_ELEMENT !== 0 || bytes.toString('base64') !== text)
      throw this.#wrong(name, 'an array in base64')
    // A copy, because Buffer's pool offset may be unaligned.
    const buffer = new ArrayBuffer(bytes.length)
    new Uint8Array(buffer).set(bytes)
    const array = new kind(buffer)
    if (length !== undefined && array.length !== length) throw this.#wrong(name, `an array of ${length} elements`)
    for (let i = 0; i < array.length; i++) {
      if (!Number.isFinite(array[i])) throw this.#wrong(name, 'an array of finite numbers')
    }
    return array
  }

  /** An error about the field. */
  #wrong(name: string, wanted: string): DetectorError {
    return new DetectorError('state', `${this.#path}.${name} is not ${wanted}`)
  }
}
