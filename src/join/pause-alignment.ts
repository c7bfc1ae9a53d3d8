// Finds where a stream stands that was captured from its middle, by the pauses that broker and tap both see.

/** How exact the clocks of broker and tap agree, and hence which pauses count. */
export interface AlignmentTiming {
  /**
   * The end of a pause may differ by so much between the two, ms: the clocks, and how long the broker takes to read.
   */
  toleranceMs: number
  /** A pause is a silence of at least this length, ms; some times the tolerance. */
  pauseMs: number
}

const EXACT: AlignmentTiming = Object.freeze({ toleranceMs: 10, pauseMs: 40 })
const COARSE: AlignmentTiming = Object.freeze({ toleranceMs: 100, pauseMs: 400 })

/** Where broker and tap share a clock: exactly, and coarsely for a machine so busy that the broker reads late. */
export const SAME_CLOCK: readonly AlignmentTiming[] = Object.freeze([EXACT, COARSE])
/** Where each has its own, kept by NTP. */
export const SEPARATE_CLOCKS: readonly AlignmentTiming[] = Object.freeze([COARSE])

/** Pauses in a row that must say the same. */
const AGREEING_PAUSES = 4
/** Pauses of one side that may wait for the other to report. */
const WAITING_CAP = 64

interface Point {
  readonly timeMs: number
  readonly offset: number
}

/**
 * One direction of one connection. The broker counts bytes from the connection's begin, the tap from
 * the first that it captured. In a pause everything captured has been read, and everything written has
 * been captured: there the difference of the two is the number of bytes that the tap missed.
 *
 * A broker that lags, or a segment that TCP holds back, would shift one side's pauses against the
 * other's. So it takes several in a row, each seen by both and none by one alone, that give the same
 * difference although the bursts between them are of different lengths; where that never happens,
 * nothing is joined.
 */
export class PauseAlignment {
  readonly #told = new Pauses()
  readonly #seen = new Pauses()
  #difference = NaN
  #agreeing = 0
  /**
   * Where the tap was at the latest of them, by how much that was more than before, and whether it ever was another
   * length.
   */
  #at = NaN
  #length = NaN
  #varied = false
  readonly #timing: AlignmentTiming

  constructor(timing: AlignmentTiming) {
    this.#timing = timing
  }

  /** By how much the broker's offsets exceed the tap's; undefined as long as that is not certain. */
  get shift(): number | undefined {
    return this.#agreeing >= AGREEING_PAUSES && this.#varied ? this.#difference : undefined
  }

  /** The broker has read or written up to `offset`; epoch ms. */
  tell(timeMs: number, offset: number): void {
    if (this.#told.push(timeMs, offset, this.#timing.pauseMs)) this.#match()
  }

  /** The tap has captured up to `offset`, by its own count; epoch ms. */
  see(timeMs: number, offset: number): void {
    if (this.#seen.push(timeMs, offset, this.#timing.pauseMs)) this.#match()
  }

  /** What was gathered is void: something went by unheard. */
  restart(): void {
    this.#told.clear()
    this.#seen.clear()
    this.#agreeing = 0
  }

  #match(): void {
    const told = this.#told
    const seen = this.#seen
    const timing = this.#timing
    for (let a = told.first, b = seen.first; a !== undefined && b !== undefined; a = told.first, b = seen.first) {
      const apart = a.timeMs - b.timeMs
      if (Math.abs(apart) <= timing.toleranceMs) {
        this.#compare(a.offset - b.offset, b.offset)
        told.shift()
        seen.shift()
      } else {
        // One side alone saw this pause: the two do not keep step.
        this.#agreeing = 0
        if (apart < 0) told.shift()
        else seen.shift()
      }
    }
    if (told.length > WAITING_CAP || seen.length > WAITING_CAP) this.restart()
  }

  #compare(difference: number, at: number): void {
    const length = at - this.#at
    if (this.#agreeing > 0 && difference === this.#difference) {
      if (this.#agreeing > 1 && length !== this.#length) this.#varied = true
      this.#agreeing++
    } else {
      this.#agreeing = 1
      this.#varied = false
    }
    this.#difference = difference
    this.#at = at
    this.#length = length
  }
}

/** The ends of the bursts of one side, each followed by a pause. */
class Pauses {
  readonly #points: Point[] = []
  #latest: Point | undefined

  get first(): Point | undefined {
    return this.#points[0]
  }

  get length(): number {
    return this.#points.length
  }

  /** Returns whether a pause went before, which is known only now. */
  push(timeMs: number, offset: number, pauseMs: number): boolean {
    const latest = this.#latest
    this.#latest = { timeMs, offset }
    if (latest === undefined || timeMs - latest.timeMs < pauseMs) return false
    this.#points.push(latest)
    return true
  }

  shift(): void {
    this.#points.shift()
  }

  clear(): void {
    this.#points.length = 0
    this.#latest = undefined
  }
}
