// The interface of fuzz targets, and helpers to check properties.
import { Random } from '../../models/random.js'

/** A fuzz target. */
export interface FuzzTarget {
  readonly name: string
  /** Summary of the properties that are checked for every input. */
  readonly properties: string
  /** Relative share of all inputs. */
  readonly weight: number
  /** Files that count for its coverage, such as `decode/pcap.js`. */
  readonly covers: readonly string[]
  /** Generates an input that is well formed or nearly so. */
  generate(random: Random): Uint8Array
  /** Throws if a property is violated; passes on errors of the code under test. */
  run(input: Uint8Array): void | Promise<void>
}

/** A violated property. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

/** Throws a {@link Violation} unless the condition is true. */
export function check(condition: boolean, property: string): asserts condition {
  if (!condition) throw new Violation(property)
}

/** Whether two byte arrays are equal; null equals only null. */
export function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : a.length === b.length && Buffer.compare(a, b) === 0
}

const CONTENT_PERIOD = 65_536
const content = new Uint8Array(2 * CONTENT_PERIOD)
const random = new Random(1)
for (let i = 0; i < CONTENT_PERIOD; i++) content[i] = content[i + CONTENT_PERIOD] = random.integer(256)

/** Returns the bytes that a sender sends at a position, up to 65,536 bytes: retransmissions are identical. */
export function contentAt(position: number, length: number): Uint8Array {
  const from = position % CONTENT_PERIOD
  return content.subarray(from, from + length)
}

/** Cuts bytes into copies of up to `most` bytes of varying length; 1 gives single bytes. */
export function* portions(bytes: Uint8Array, most: number): Generator<Buffer> {
  for (let at = 0, i = 1; at < bytes.length; i++) {
    const end = Math.min(bytes.length, at + 1 + ((i * 7) % most))
    // Use separate memory, so that views that outlive their chunk show as differences.
    yield Buffer.from(bytes.subarray(at, end))
    at = end
  }
}
