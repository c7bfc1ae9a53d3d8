// Packet times: differences to the nanosecond, and the mean of the last twenty.

/** A point in time: epoch seconds and nanoseconds within the second. */
export interface FrameTime {
  seconds: number
  nanoseconds: number
}

/** Nanoseconds in a second. */
export const NANOSECONDS = 1_000_000_000
/** A twentieth of a nanosecond is a whole number of these. */
const PICOSECONDS = 1_000_000_000_000
/** How many records `l20_avg` looks back. */
const WINDOW = 20

/** Seconds from `earlier` to `later`, negative where a capture runs backwards; the double nearest to the nanosecond. */
export function secondsBetween(earlier: FrameTime, later: FrameTime): number {
  return rounded(later.seconds - earlier.seconds + (later.nanoseconds - earlier.nanoseconds) / NANOSECONDS, NANOSECONDS)
}

/** The double nearest to `seconds` in whole parts of a second, so that text and number say the same. */
function rounded(seconds: number, parts: number): number {
  return Math.round(seconds * parts) / parts
}

/** The last twenty deltas, whatever their stream. */
export class DeltaWindow {
  readonly #deltas = new Float64Array(WINDOW)
  #count = 0

  /**
   * Mean of the last twenty values pushed, seconds; of fewer at the start, 0 before the first; rounded to picoseconds.
   */
  mean(): number {
    const length = Math.min(this.#count, WINDOW)
    if (length === 0) return 0
    // Summed anew each time: a running sum would gather rounding errors over millions of frames.
    let sum = 0
    for (let i = 0; i < length; i++) sum += this.#deltas[i]
    return rounded(sum / length, PICOSECONDS)
  }

  push(delta: number): void {
    this.#deltas[this.#count++ % WINDOW] = delta
  }
}
