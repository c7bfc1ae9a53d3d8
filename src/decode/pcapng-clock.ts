// Times of pcapng: ticks of any length since any moment, as seconds and nanoseconds.
import type { FrameTime } from './frame-times.js'

/** Microseconds, where an interface says nothing. */
const DEFAULT_RESOLUTION = 6
const POWER_OF_TWO = 0x80
const NANOSECONDS = 1_000_000_000n
/** Later than any capture, and short enough for every reader of what is written: in the year 33,658. */
const LATEST_SECONDS = 999_999_999_999n
/** Below this a count of ticks is exact in a double. */
const EXACT_HIGH = 0x20_0000
const MICROSECOND_TICKS = 1_000_000

/** The clock of one interface. */
export class FrameClock {
  readonly #ticks: bigint
  readonly #offset: bigint
  readonly #isPlain: boolean

  /**
   * `resolution` is the byte of the option if_tsresol: a negative power of ten, or of two where its
   * highest bit is set. `offset` is that of if_tsoffset, in seconds.
   */
  constructor(resolution: number = DEFAULT_RESOLUTION, offset: bigint = 0n) {
    this.#ticks =
      (resolution & POWER_OF_TWO) === 0 ? 10n ** BigInt(resolution) : 2n ** BigInt(resolution & ~POWER_OF_TWO)
    this.#offset = offset
    this.#isPlain = resolution === DEFAULT_RESOLUTION && offset === 0n
  }

  /** The time of a tick given as its high and low 32 bits; times that cannot be are brought to the nearest that can. */
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
