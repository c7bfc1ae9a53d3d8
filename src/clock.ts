// Clocks: wall-clock time with microseconds for records without a tap, and monotonic time.

/** A source of time. Injected, so that tests need not wait. */
export interface Clock {
  /** Milliseconds with fractions, since 1970 unless the clock documents otherwise. */
  now(): number
}

/** Monotonic clock, unaffected by changes of the system clock. Its zero is arbitrary: use it for durations. */
export const STEADY_CLOCK: Clock = Object.freeze({ now: () => performance.now() })

/**
 * The system's clock. `performance.timeOrigin` may differ from wall-clock time by up to a millisecond, and a Raspberry
 * Pi without a battery sets its clock long after the start. So the offset is measured when `Date.now()` changes, and
 * again whenever the two have drifted apart.
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
 * A clock for timeouts that does not advance while the thread stalls. After a stall, the expected data may be unread in
 * a pipe. It must not time out before it is read.
 */
export class AwakeClock implements Clock {
  /** Slightly longer than the longest interval between two calls in a thread that does not stall. */
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
