// Packet times: differences in nanosecond resolution, and the mean of the last twenty.

/** A point in time: epoch seconds and nanoseconds within the second. */
export interface FrameTime {
  seconds: number
  nanoseconds: number
}

/** Nanoseconds in a second. */
export const NANOSECONDS = 1_000_000_000
/** Picoseconds in a second: a twentieth of a nanosecond is a whole number of them. */
const PICOSECONDS = 1_000_000_000_000
/** Number of records in `l20_avg`. */
const WINDOW = 20

/** Returns the seconds from `earlier` to `later`, rounded to nanoseconds; negative if the capture runs backwards. */
export function secondsBetween(earlier: FrameTime, later: FrameTime): number {
  return rounded(later.seconds - earlier.seconds + (later.nanoseconds - earlier.nanoseconds) / NANOSECONDS, NANOSECONDS)
}

/** Rounds `seconds` to whole parts of a second, so that the number and its text agree. */
function rounded(seconds: number, parts: number): number {
  return Math.round(seconds * parts) / parts
}

/** The last twenty deltas of all streams. */
export class DeltaWindow {
  readonly #deltas = new Float64Array(WINDOW)
  #count = 0

  /** Returns the mean of up to twenty latest values, seconds, rounded to picoseconds; 0 before the first value. */
  mean(): number {
    const length = Math.min(this.#count, WINDOW)
    if (length === 0) return 0
    // Summed each time: a running sum would accumulate rounding errors over millions of frames.
    let sum = 0
    for (let i = 0; i < length; i++) sum += this.#deltas[i]
    return rounded(sum / length, PICOSECONDS)
  }

  push(delta: number): void {
    this.#deltas[this.#count++ % WINDOW] = delta
  }
}
