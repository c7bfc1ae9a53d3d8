// Common parts of the durability checks: state other than queued messages that must survive a kill.

import { setTimeout as pause } from 'node:timers/promises'
import type { ResumingClient } from './resuming-client.js'

/** Number of checked items and failures. */
export interface CheckResult {
  what: string
  checked: number
  faults: number
  /** Description of the first failure. */
  example?: string
}

/** How long a check waits for the expected state. */
const CHECK_TIMEOUT_MS = 5_000
const POLL_INTERVAL_MS = 10

/** Resolves when the condition is true or the time is over. */
export async function waitUntilTrue(isTrue: () => boolean): Promise<void> {
  for (const deadline = performance.now() + CHECK_TIMEOUT_MS; !isTrue() && performance.now() < deadline;)
    await pause(POLL_INTERVAL_MS)
}

/** A check of one kind of state. */
export interface DurabilityCheck {
  /** Runs after each start: compares with what was acknowledged before the kill. Ends early if the broker is killed. */
  check(port: number): Promise<void>
  /** Runs after the check until the kill: makes changes that must survive. */
  act(port: number): Promise<void>
  /** Runs after the kill, when no more acknowledgements can arrive. */
  killed(): Promise<void>
  findings(): CheckResult[]
  /** Its clients with persistent sessions. */
  readonly persistentClients: readonly ResumingClient[]
}

/** Counts checks and failures. */
export class CheckCounter implements CheckResult {
  checked = 0
  faults = 0
  example?: string

  constructor(readonly what: string) {}

  /** @param describe describes a failure */
  check(isRight: boolean, describe: () => string): void {
    this.checked++
    if (isRight) return
    this.faults++
    this.example ??= describe()
  }
}
