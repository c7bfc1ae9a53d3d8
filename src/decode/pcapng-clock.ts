// Converts pcapng timestamps, in ticks of any resolution and offset, to seconds and nanoseconds.
import type { FrameTime } from './frame-times.js'

/** Microseconds: the default of an interface. */
const DEFAULT_RESOLUTION = 6
const POWER_OF_TWO = 0x80
const NANOSECONDS = 1_000_000_000n
/** Upper limit, in the year 33,658: later than any capture, and few enough digits for every reader of our output. */
const LATEST_SECONDS = 999_999_999_999n
/** If the high word is smaller, the tick count is exact in a double. */
const EXACT_HIGH = 0x20_0000
const MICROSECOND_TICKS = 1_000_000

/** The clock of one interface. */
export class FrameClock {
  readonly #ticks: bigint
  readonly #offset: bigint
  readonly #isPlain: boolean

  /**
   * @param resolution byte of the option if_tsresol: a negative power of ten, or of two if the highest bit is set
   * @param offset value of the option if_tsoffset, seconds
   */
  constructor(resolution: number = DEFAULT_RESOLUTION, offset: bigint = 0n) {
    this.#ticks =
      (resolution & POWER_OF_TWO) === 0 ? 10n ** BigInt(resolution) : 2n ** BigInt(resolution & ~POWER_OF_TWO)
    this.#offset = offset
    this.#isPlain = resolution === DEFAULT_RESOLUTION && offset === 0n
  }

  /** Returns the time of a timestamp, given as its high and low 32 bits, clamped to the valid range. */
  timeOf(high: number, low: number): FrameTime {
    if (this.#isPlain && high < EXACT_HIGH) {
      const ticks = high * 0x1_0000_0000 + low
      const seconds = Math.floor(ticks / MICROSECOND_TICKS)
      return { seconds, nanoseconds: (ticks - seconds * MICROSECOND_TICKS) * 1000 }
    }
    const ticks = (BigInt(high) << 32n) | BigInt(low)
    const whole = ticks / this.#ticks
    const nanoseconds = ((ticks - whole * this.#ticks) * NANOSECONDS) / this.#ticks
    const seconds = whole + this.#offset
    if (seconds < 0n) return { seconds: 0, nanoseconds: 0 }
    return { seconds: Number(seconds < LATEST_SECONDS ? seconds : LATEST_SECONDS), nanoseconds: Number(nanoseconds) }
  }
}
