// Finds the byte offset of a mid-stream pickup, from pauses that broker and tap both see.

/** Accuracy of the clocks of broker and tap, and the resulting minimum pause. */
export interface AlignmentTiming {
  /** Maximum difference between the two for the end of a pause, ms: clock offset and read delay of the broker. */
  toleranceMs: number
  /** Minimum duration of a pause, ms: several times the tolerance. */
  pauseMs: number
}

const EXACT: AlignmentTiming = Object.freeze({ toleranceMs: 10, pauseMs: 40 })
const COARSE: AlignmentTiming = Object.freeze({ toleranceMs: 100, pauseMs: 400 })

/** For a shared clock: exact, and coarse for a busy machine on which the broker reads late. */
export const SAME_CLOCK: readonly AlignmentTiming[] = Object.freeze([EXACT, COARSE])
/** For separate clocks, synchronised by NTP. */
export const SEPARATE_CLOCKS: readonly AlignmentTiming[] = Object.freeze([COARSE])

/** Consecutive pauses that must give the same difference. */
const AGREEING_PAUSES = 4
/** Pauses of one side that may wait for the other. */
const WAITING_CAP = 64

interface Point {
  readonly timeMs: number
  readonly offset: number
}

/**
 * One direction of one connection. The broker counts bytes from the start of the connection, the tap from the first
 * captured byte. In a pause, everything captured has been read and everything written has been captured: the difference
 * of both offsets is the number of bytes that the tap missed.
 *
 * A slow broker, or a segment delayed by TCP, would shift the pauses of one side. Therefore several consecutive pauses,
 * all seen by both sides, must give the same difference, with bursts of different lengths between them. Otherwise
 * nothing is joined.
 */
export class PauseAlignment {
  readonly #brokerPauses = new Pauses()
  readonly #tapPauses = new Pauses()
  #difference = NaN
  #agreeing = 0
  /**
   * Tap offset at the latest agreeing pause, its distance from the pause before, and whether that distance ever varied.
   */
  #at = NaN
  #length = NaN
  #lengthVaried = false
  readonly #timing: AlignmentTiming

  constructor(timing: AlignmentTiming) {
    this.#timing = timing
  }

  /** Broker offset minus tap offset; undefined until it is certain. */
  get shift(): number | undefined {
    return this.#agreeing >= AGREEING_PAUSES && this.#lengthVaried ? this.#difference : undefined
  }

  /** Adds the offset up to which the broker has read or written; epoch ms. */
  addBroker(timeMs: number, offset: number): void {
    if (this.#brokerPauses.push(timeMs, offset, this.#timing.pauseMs)) this.#match()
  }

  /** Adds the tap offset up to which the tap has captured; epoch ms. */
  addTap(timeMs: number, offset: number): void {
    if (this.#tapPauses.push(timeMs, offset, this.#timing.pauseMs)) this.#match()
  }

  /** Discards all pauses, because data was missed. */
  reset(): void {
    this.#brokerPauses.clear()
    this.#tapPauses.clear()
    this.#agreeing = 0
  }

  #match(): void {
    const broker = this.#brokerPauses
    const tap = this.#tapPauses
    const timing = this.#timing
    for (let a = broker.first, b = tap.first; a !== undefined && b !== undefined; a = broker.first, b = tap.first) {
      const apart = a.timeMs - b.timeMs
      if (Math.abs(apart) <= timing.toleranceMs) {
        this.#compare(a.offset - b.offset, b.offset)
        broker.shift()
        tap.shift()
      } else {
        // Only one side saw this pause: broker and tap are out of step.
        this.#agreeing = 0
        if (apart < 0) broker.shift()
        else tap.shift()
      }
    }
    if (broker.length > WAITING_CAP || tap.length > WAITING_CAP) this.reset()
  }

  #compare(difference: number, at: number): void {
    const length = at - this.#at
    if (this.#agreeing > 0 && difference === this.#difference) {
      if (this.#agreeing > 1 && length !== this.#length) this.#lengthVaried = true
      this.#agreeing++
    } else {
      this.#agreeing = 1
      this.#lengthVaried = false
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

  /** Returns whether a pause preceded this burst. */
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
