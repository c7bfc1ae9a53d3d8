// Lines of text written straight into bytes: no string is made of a million records.

const FIRST_BYTES = 65_536
const ZERO = 0x30
const MINUS = 0x2d
const POINT = 0x2e
const HEX_DIGITS = Buffer.from('0123456789abcdef')
/** Most digits of an integer that a double holds, and a sign. */
const LONGEST_INTEGER = 24
/** A power is slow to compute. */
export const POWERS_OF_TEN: readonly number[] = Object.freeze(Array.from({ length: 16 }, (_, i) => 10 ** i))
/** Longer texts are cheaper to copy in one call. */
const SHORT_TEXT = 48

/** Gathers text until it is taken. All text is ASCII but that of {@link utf8}. */
export class LineBytes {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES)
  #length = 0

  /** What was gathered since the last call; its memory is the caller's. */
  take (): Buffer {
    const taken = this.#bytes.subarray(0, this.#length)
    this.#bytes = Buffer.allocUnsafe(Math.max(FIRST_BYTES, this.#length))
    this.#length = 0
    return taken
  }

  /** Text that was turned into bytes before. */
  bytes (text: Uint8Array): void {
    const { length } = text
    this.#reserve(length)
    const at = this.#length
    for (let i = 0; i < length; i++) this.#bytes[at + i] = text[i]
    this.#length = at + length
  }

  ascii (text: string): void {
    const { length } = text
    this.#reserve(length)
    const at = this.#length
    if (length > SHORT_TEXT) this.#bytes.write(text, at, 'latin1')
    else for (let i = 0; i < length; i++) this.#bytes[at + i] = text.charCodeAt(i)
    this.#length = at + length
  }

  utf8 (text: string): void {
    this.#reserve(text.length * 3)
    this.#length += this.#bytes.write(text, this.#length)
  }

  hex (bytes: Uint8Array): void {
    const { length } = bytes
    this.#reserve(length * 2)
    for (let i = 0, at = this.#length; i < length; i++) {
      this.#bytes[at++] = HEX_DIGITS[bytes[i] >> 4]
      this.#bytes[at++] = HEX_DIGITS[bytes[i] & 15]
    }
    this.#length += length * 2
  }

  /** A whole number, as far as doubles are exact; any other number as JavaScript writes it. */
  integer (value: number): void {
    this.#reserve(LONGEST_INTEGER)
    // Most are flags.
    if (value === 0 || value === 1) {
      this.#bytes[this.#length++] = ZERO + value
      return
    }
    if (value < 0 || !Number.isSafeInteger(value)) {
      this.ascii(String(value))
      return
    }
    this.#length = this.#digits(value, digitsOf(value))
  }

  /** A point and so many digits. */
  fraction (parts: number, decimals: number): void {
    this.#reserve(LONGEST_INTEGER)
    this.#bytes[this.#length++] = POINT
    this.#length = this.#digits(parts, decimals)
  }

  /** A number of seconds, given in whole parts of which 10^`decimals` are a second. */
  decimal (parts: number, decimals: number): void {
    this.#reserve(LONGEST_INTEGER)
    if (parts < 0) this.#bytes[this.#length++] = MINUS
    const perSecond = POWERS_OF_TEN[decimals]
    const positive = Math.abs(parts)
    const seconds = Math.floor(positive / perSecond)
    this.#length = this.#digits(seconds, digitsOf(seconds))
    this.fraction(positive - seconds * perSecond, decimals)
  }

  /** Writes so many digits, zeros in front; gives where they end. Room is there. */
  #digits (value: number, count: number): number {
    const end = this.#length + count
    let rest = value
    let at = end
    // Beyond 32 bits division is slow.
    while (rest > 0xffff_ffff) {
      const next = Math.floor(rest / 10)
      this.#bytes[--at] = ZERO + (rest - next * 10)
      rest = next
    }
    for (let left = rest >>> 0; at > this.#length;) {
      const next = (left / 10) >>> 0
      this.#bytes[--at] = ZERO + (left - next * 10)
      left = next
    }
    return end
  }

  #reserve (count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length))
    this.#bytes.copy(grown, 0, 0, this.#length)
    this.#bytes = grown
  }
}

function digitsOf (value: number): number {
  let count = 1
  for (let limit = 10; limit <= value; limit *= 10) count++
  return count
}
