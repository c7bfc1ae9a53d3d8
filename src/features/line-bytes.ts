// Writes lines of text directly into a buffer, without a string per record.

const FIRST_BYTES = 65_536
const ZERO = 0x30
const MINUS = 0x2d
const POINT = 0x2e
const HEX_DIGITS = Buffer.from('0123456789abcdef')
/** Longer texts are faster to copy in one call. */
const SHORT_TEXT = 48
/** Precomputed, because a power is slow to compute. */
const POWERS_OF_TEN: readonly number[] = Object.freeze(Array.from({ length: 16 }, (_, i) => 10 ** i))
/** Decimals of a time: of a capture in microseconds, of one in nanoseconds, of a mean. */
const MICROSECONDS = 6
const NANOSECONDS = 9
const PICOSECONDS = 12
/** Digits that always fit in 32 bits. Division of larger numbers is slow. */
const QUICK_DIGITS = 9
/** Maximum length of a number from {@link writeNumber} or {@link writeSeconds}. */
export const LONGEST_NUMBER = 40

/** Collects bytes until they are taken. Reserve room, then write with the functions below. */
export class LineBytes {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES)
  /** Offset of the next byte. The caller advances it. */
  length = 0

  /** Ensures room for `count` more bytes. The returned buffer is valid until the next call. */
  reserve(count: number): Buffer {
    const needed = this.length + count
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length))
      this.#bytes.copy(grown, 0, 0, this.length)
      this.#bytes = grown
    }
    return this.#bytes
  }

  /** Returns the bytes since the last call. The caller owns the memory. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.length)
    this.#bytes = Buffer.allocUnsafe(Math.max(FIRST_BYTES, this.length))
    this.length = 0
    return taken
  }
}

// The functions below write at `at`, into reserved room, and return the end offset.

/** Writes text that is already encoded. */
export function writeBytes(bytes: Buffer, at: number, text: Uint8Array): number {
  const { length } = text
  for (let i = 0; i < length; i++) bytes[at + i] = text[i]
  return at + length
}

export function writeAscii(bytes: Buffer, at: number, text: string): number {
  const { length } = text
  if (length > SHORT_TEXT) bytes.write(text, at, 'latin1')
  else for (let i = 0; i < length; i++) bytes[at + i] = text.charCodeAt(i)
  return at + length
}

export function writeHex(bytes: Buffer, at: number, value: Uint8Array): number {
  let end = at
  for (let i = 0; i < value.length; i++) {
    const byte = value[i]
    bytes[end++] = HEX_DIGITS[byte >> 4]
    bytes[end++] = HEX_DIGITS[byte & 15]
  }
  return end
}

/** Writes an integer exactly up to 2^53 - 1, any other number as JavaScript formats it. */
export function writeNumber(bytes: Buffer, at: number, value: number): number {
  // Most are flags.
  if (value === 0 || value === 1) {
    bytes[at] = ZERO + value
    return at + 1
  }
  if (value < 0 || !Number.isSafeInteger(value)) return writeAscii(bytes, at, String(value))
  return writeInteger(bytes, at, value)
}

/** Writes seconds with six decimals if they are exact, otherwise with nine or twelve. */
export function writeSeconds(bytes: Buffer, at: number, value: number): number {
  const decimals =
    Math.round(value * 1e6) / 1e6 === value
      ? MICROSECONDS
      : Math.round(value * 1e9) / 1e9 === value
        ? NANOSECONDS
        : PICOSECONDS
  const perSecond = POWERS_OF_TEN[decimals]
  const parts = Math.round(Math.abs(value) * perSecond)
  if (!Number.isSafeInteger(parts)) return writeAscii(bytes, at, value.toFixed(decimals))
  let end = at
  if (value < 0) bytes[end++] = MINUS
  const seconds = Math.floor(parts / perSecond)
  return writeFraction(bytes, writeInteger(bytes, end, seconds), parts - seconds * perSecond, decimals)
}

/** Writes epoch seconds, truncated to microseconds. */
export function writeTime(bytes: Buffer, at: number, seconds: number, nanoseconds: number): number {
  return writeFraction(bytes, writeInteger(bytes, at, seconds), Math.floor(nanoseconds / 1000), MICROSECONDS)
}

/** Writes a decimal point and `decimals` digits. */
function writeFraction(bytes: Buffer, at: number, parts: number, decimals: number): number {
  bytes[at] = POINT
  return writeDigits(bytes, at + 1, parts, decimals)
}

function writeInteger(bytes: Buffer, at: number, value: number): number {
  let count = 1
  for (let limit = 10; limit <= value; limit *= 10) count++
  return writeDigits(bytes, at, value, count)
}

/** Writes `count` digits, with leading zeros. */
function writeDigits(bytes: Buffer, at: number, value: number, count: number): number {
  if (value > 0xffff_ffff) {
    const power = POWERS_OF_TEN[QUICK_DIGITS]
    const high = Math.floor(value / power)
    return writeDigits(bytes, writeDigits(bytes, at, high, count - QUICK_DIGITS), value - high * power, QUICK_DIGITS)
  }
  const end = at + count
  for (let left = value >>> 0, to = end; to > at;) {
    const next = (left / 10) >>> 0
    bytes[--to] = ZERO + (left - next * 10)
    left = next
  }
  return end
}
