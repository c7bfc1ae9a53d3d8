// Waiting for a condition without sleeping for a guessed time.

import { setTimeout as pause } from 'node:timers/promises'

/** Far beyond what any condition takes on a machine that does much else; only a fault gets there. */
const TIMEOUT_MS = 60_000

/** Resolves when `condition` holds; rejects when it does not within a minute. */
export async function waitUntil(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${TIMEOUT_MS} ms: ${what}`)
    await pause(2)
  }
}
