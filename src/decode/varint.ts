// Variable byte integers [MQTT-1.5.5].

/** Bytes of the longest variable byte integer [MQTT-1.5.5-1]. */
export const MAX_VARINT_BYTES = 4
/** Shift of the last of these bytes. */
export const MAX_VARINT_SHIFT = 7 * (MAX_VARINT_BYTES - 1)

/** The integer does not end within the bytes. */
export const VARINT_INCOMPLETE = -1
/** The integer has more than four bytes. */
export const VARINT_MALFORMED = -2

/**
 * Returns the offset after the integer at `at`, {@link VARINT_INCOMPLETE} or {@link VARINT_MALFORMED}. Accepts integers
 * with more bytes than necessary.
 *
 * @param to end of the bytes
 */
export function varintEnd(bytes: Uint8Array, at: number, to = bytes.length): number {
  const limit = Math.min(to, at + MAX_VARINT_BYTES)
  for (let i = at; i < limit; i++) if (bytes[i] < 0x80) return i + 1
  return at + MAX_VARINT_BYTES <= to ? VARINT_MALFORMED : VARINT_INCOMPLETE
}

/** Returns the value of the integer from `at` to `end`. */
export function varintValue(bytes: Uint8Array, at: number, end: number): number {
  let value = 0
  for (let i = end - 1; i >= at; i--) value = (value << 7) | (bytes[i] & 0x7f)
  return value
}
