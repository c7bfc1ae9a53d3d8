// A short hash of bytes, for telling things apart without keeping them: FNV-1a (RFC 9923), 32 bits.

/** The hash of no bytes, as a signed number. */
export const FNV_BASIS = 0x811c9dc5 | 0
const PRIME = 0x01000193

/** Takes bytes, from `from` to `to`, into a hash; signed, to be gone on with. */
export function fnv(hash: number, bytes: Uint8Array, from: number, to: number): number {
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i], PRIME)
  return hash
}

/** The hash of bytes up to `end`, as an unsigned number. */
export function hashBytes(bytes: Uint8Array, end = bytes.length): number {
  return fnv(FNV_BASIS, bytes, 0, end) >>> 0
}
