// FNV-1a hash (RFC 9923), 32 bits: identifies bytes without keeping them.

/** The hash of an empty input, signed. */
export const FNV_BASIS = 0x811c9dc5 | 0
const PRIME = 0x01000193

/** Adds the bytes from `from` to `to` to a hash. Returns a signed number, to be passed to the next call. */
export function fnv(hash: number, bytes: Uint8Array, from: number, to: number): number {
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i], PRIME)
  return hash
}

/** Returns the hash of the bytes up to `end`, unsigned. */
export function hashBytes(bytes: Uint8Array, end = bytes.length): number {
  return fnv(FNV_BASIS, bytes, 0, end) >>> 0
}

/** Returns the hash of a text's UTF-16 code units, unsigned. Another basis and prime give an independent hash. */
export function hashText(text: string, basis = FNV_BASIS, prime = PRIME): number {
  let hash = basis
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), prime)
  return hash >>> 0
}
