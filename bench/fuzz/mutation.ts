// Mutates inputs: flips bits, writes edge values, and moves, duplicates, deletes or splices pieces.
import type { Random } from '../../models/random.js'

/** Largest input, bytes. */
export const MAX_INPUT = 4_096

/** Edge values of lengths, offsets and counters. */
const EDGES = [
  0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 19, 20, 21, 31, 32, 63, 64, 127, 128, 129, 255, 256, 257, 1_023, 1_024, 4_095, 16_383,
  16_384, 32_767, 32_768, 65_534, 65_535, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff
]
const WIDTHS = [1, 2, 4] as const

/** Returns a mutated copy of `input`, with pieces of `other`. */
export function mutate(random: Random, input: Uint8Array, other: Uint8Array): Uint8Array {
  let bytes: Uint8Array = Uint8Array.from(input)
  for (let rounds = 1 + random.integer(4); rounds > 0; rounds--) bytes = mutateOnce(random, bytes, other)
  return bytes.length > MAX_INPUT ? bytes.subarray(0, MAX_INPUT) : bytes
}

function mutateOnce(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const { length } = bytes
  if (length === 0) return Uint8Array.of(random.integer(256))
  const at = random.integer(length)
  switch (random.integer(10)) {
    case 0:
      bytes[at] ^= 1 << random.integer(8)
      return bytes
    case 1:
      bytes[at] = random.integer(256)
      return bytes
    case 2:
      bytes[at] += random.integer(2) === 0 ? 1 : -1
      return bytes
    case 3:
    case 4: {
      writeNumber(random, bytes, at, EDGES[random.integer(EDGES.length)])
      return bytes
    }
    case 5:
      return concat(bytes.subarray(0, at), bytes.subarray(at + 1 + random.integer(Math.min(16, length - at))))
    case 6:
      return concat(
        bytes.subarray(0, at),
        Uint8Array.from({ length: 1 + random.integer(8) }, () => random.integer(256)),
        bytes.subarray(at)
      )
    case 7: {
      const end = Math.min(length, at + 1 + random.integer(64))
      return concat(bytes.subarray(0, end), bytes.subarray(at))
    }
    case 8: {
      const from = random.integer(other.length + 1)
      return concat(bytes.subarray(0, at), other.subarray(from, from + 1 + random.integer(128)), bytes.subarray(at))
    }
    default:
      return bytes.slice(0, at)
  }
}

/** Writes a number in either byte order, truncated at the end of the bytes. */
function writeNumber(random: Random, bytes: Uint8Array, at: number, value: number): void {
  const width = WIDTHS[random.integer(WIDTHS.length)]
  const isLittle = random.integer(2) === 0
  for (let i = 0; i < width && at + i < bytes.length; i++) {
    bytes[at + i] = value >>> (8 * (isLittle ? i : width - 1 - i))
  }
}

function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts))
}

/** Minimises an input that `fails`: removes pieces, then sets bytes to 0. */
export async function minimise(input: Uint8Array, fails: (input: Uint8Array) => Promise<boolean>): Promise<Uint8Array> {
  let best = input
  for (let piece = best.length >> 1; piece >= 1; piece >>= 1) {
    for (let at = 0; at < best.length;) {
      const shorter = concat(best.subarray(0, at), best.subarray(at + piece))
      if (await fails(shorter)) best = shorter
      else at += piece
    }
  }
  for (let at = 0; at < best.length; at++) {
    if (best[at] === 0) continue
    const simpler = Uint8Array.from(best)
    simpler[at] = 0
    if (await fails(simpler)) best = simpler
  }
  return best
}
