// A short hash of bytes and texts, for telling things apart without keeping them.

const BASIS = 0x811c9dc5
const PRIME = 0x01000193

/** FNV-1a (RFC 9923) of bytes, 32 bits. */
export function hashBytes (bytes: Uint8Array, end = bytes.length): number {
  let hash = BASIS
  for (let i = 0; i < end; i++) hash = Math.imul(hash ^ bytes[i], PRIME)
  return hash >>> 0
}
