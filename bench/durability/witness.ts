// Something beside messages that must outlast a kill, and whoever looks whether it did.

import { setTimeout as pause } from 'node:timers/promises'
import type { ResumingClient } from './resuming-client.js'

/** Counts of what was looked at, and of what was not as it must be. */
export interface Finding {
  what: string
  checked: number
  faults: number
  /** Of the first fault. */
  example?: string
}

/** So long a witness waits for what must be there. */
const LOOK_FOR_MS = 5_000
const LOOK_EVERY_MS = 10

/** Resolves when something is as it must be, or will not be any more. */
export async function untilOver(isOver: () => boolean): Promise<void> {
  for (const deadline = performance.now() + LOOK_FOR_MS; !isOver() && performance.now() < deadline;)
    await pause(LOOK_EVERY_MS)
}

/** Looks at one kind of thing. */
export interface Witness {
  /**
   * After each start: compares with what was acknowledged before the kill; ends early where the broker is killed
   * meanwhile.
   */
  check(port: number): Promise<void>
  /** Then, until the kill: does what is to be kept. */
  act(port: number): Promise<void>
  /** After the kill, when nothing more can be acknowledged. */
  killed(): Promise<void>
  findings(): Finding[]
  /** Its clients whose sessions last. */
  readonly lasting: readonly ResumingClient[]
}

/** A count of faults. */
export class Tally implements Finding {
  checked = 0
  faults = 0
  example?: string

  constructor(readonly what: string) {}

  /** @param describe says what is wrong, where something is */
  check(isRight: boolean, describe: () => string): void {
    this.checked++
    if (isRight) return
    this.faults++
    this.example ??= describe()
  }
}
