// Wall-clock time with microseconds, for what the broker sees without a tap.

/** Tells the time; injected wherever time matters, so that tests need not wait. */
export interface Clock {
  /** Milliseconds with fractions; since 1970, unless the clock says otherwise. */
  now(): number
}

/** Only goes forward, whoever sets the system's clock; its zero means nothing. For how long something takes. */
export const STEADY_CLOCK: Clock = Object.freeze({ now: () => performance.now() })

/**
 * The system's clock. `performance.timeOrigin` may be off the wall clock by up to a millisecond, and
 * a Raspberry Pi without a battery sets its clock long after the start: so the offset is taken at an
 * edge of `Date.now()` and taken anew whenever the two have drifted apart.
 */
export class SystemClock implements Clock {
  static readonly #TOLERANCE_MS = 20
  #offset: number

  constructor() {
    this.#offset = SystemClock.#offsetAtEdge()
  }

  now(): number {
    const now = this.#offset + performance.now()
    if (Math.abs(now - Date.now()) <= SystemClock.#TOLERANCE_MS) return now
    this.#offset = Date.now() - performance.now()
    return this.#offset + performance.now()
  }

  static #offsetAtEdge(): number {
    const start = Date.now()
    let edge = start
    while (edge === start) edge = Date.now()
    return edge - performance.now()
  }
}

/**
 * A clock for patience: it stands still while the thread does. After a stall, what was to be waited for
 * may lie unread in a pipe, and it would be wrong to give it up at the first look.
 */
export class AwakeClock implements Clock {
  /** Somewhat longer than the longest time between two looks of a thread that is awake. */
  static readonly #LONGEST_STEP_MS = 150
  #elapsed = 0
  #latest: number
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
    this.#latest = clock.now()
  }

  now(): number {
    const now = this.#clock.now()
    this.#elapsed += Math.min(now - this.#latest, AwakeClock.#LONGEST_STEP_MS)
    this.#latest = now
    return this.#elapsed
  }
}
