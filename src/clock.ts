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
  private static readonly TOLERANCE_MS = 20
  private offset: number

  constructor () {
    this.offset = SystemClock.offsetAtEdge()
  }

  now (): number {
    const now = this.offset + performance.now()
    if (Math.abs(now - Date.now()) <= SystemClock.TOLERANCE_MS) return now
    this.offset = Date.now() - performance.now()
    return this.offset + performance.now()
  }

  private static offsetAtEdge (): number {
    const start = Date.now()
    let edge = start
    while (edge === start) edge = Date.now()
    return edge - performance.now()
  }
}
