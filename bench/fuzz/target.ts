// What a fuzz target is, and how it says that a property does not hold.
import { Random } from '../../models/random.js'

/** One thing to be fuzzed. */
export interface FuzzTarget {
  readonly name: string
  /** What holds for every input, in a few words. */
  readonly properties: string
  /** Share of all inputs that it gets. */
  readonly weight: number
  /** Files whose blocks count for its coverage, such as `decode/pcap.js`. */
  readonly covers: readonly string[]
  /** A new input, well formed or nearly so. */
  generate(random: Random): Uint8Array
  /** Throws where a property does not hold, and lets through whatever the code under test throws. */
  run(input: Uint8Array): void | Promise<void>
}

/** A property that does not hold. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

/** Throws a {@link Violation} unless `holds`. */
export function check(holds: boolean, property: string): asserts holds {
  if (!holds) throw new Violation(property)
}

/** Whether two lists of bytes are the same; null is the same as null only. */
export function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : a.length === b.length && Buffer.compare(a, b) === 0
}

const CONTENT_PERIOD = 65_536
const content = new Uint8Array(2 * CONTENT_PERIOD)
const random = new Random(1)
for (let i = 0; i < CONTENT_PERIOD; i++) content[i] = content[i + CONTENT_PERIOD] = random.integer(256)

/** What a sender sends from a place on, up to 65,536 bytes: whoever sends them again sends the same. */
export function contentFrom(place: number, length: number): Uint8Array {
  const from = place % CONTENT_PERIOD
  return content.subarray(from, from + length)
}

/** Cuts bytes into copies of up to `most` bytes each, as many different lengths as fit; 1 gives single bytes. */
export function* portions(bytes: Uint8Array, most: number): Generator<Buffer> {
  for (let at = 0, i = 1; at < bytes.length; i++) {
    const end = Math.min(bytes.length, at + 1 + ((i * 7) % most))
    // Each in memory of its own: views that outlive their portion show as differences.
    yield Buffer.from(bytes.subarray(at, end))
    at = end
  }
}
