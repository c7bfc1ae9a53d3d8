// Waits for a condition.

import { setTimeout as pause } from 'node:timers/promises'

/** Much longer than any condition takes on a busy machine: only a bug reaches it. */
const TIMEOUT_MS = 60_000

/** Resolves when `condition` is true; rejects after a minute. */
export async function waitUntil(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Timed out after ${TIMEOUT_MS} ms waiting for: ${what}`)
    await pause(2)
  }
}
