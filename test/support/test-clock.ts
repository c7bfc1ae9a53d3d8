// A clock that stands still until it is told.

import type { Clock } from '../../src/clock.js'

/** Starts at a round time after 2020, in epoch milliseconds. */
export class TestClock implements Clock {
  constructor(public time = 1_700_000_000_000) {}

  now(): number {
    return this.time
  }

  advance(milliseconds: number): void {
    this.time += milliseconds
  }
}
