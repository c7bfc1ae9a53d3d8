// A clock that tests advance manually.

import type { Clock } from '../../src/clock.js'

/** Starts at 2023-11-14T22:13:20Z. Times are epoch milliseconds. */
export class TestClock implements Clock {
  constructor(public time = 1_700_000_000_000) {}

  now(): number {
    return this.time
  }

  advance(milliseconds: number): void {
    this.time += milliseconds
  }
}
