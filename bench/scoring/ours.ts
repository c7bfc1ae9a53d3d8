// Our side of the comparison: trains a detector and measures its scoring speed.

import { catalogEntry, createDetector, rocAuc, type OutlierDetector } from '../../models/index.js'
import type { LabelledRows } from './rows.js'
import type { Fitted, Task } from './task.js'

/** Returns the processor time of this process, s. */
function processorSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** Trains on the first rows of `train` and scores the test rows. */
export async function fitOurs(
  { kind, rows, parameters }: Task,
  train: LabelledRows,
  test: LabelledRows
): Promise<Fitted & { detector: OutlierDetector }> {
  const entry = catalogEntry(kind)
  await entry.prepare?.()
  const detector = createDetector(kind, { ...parameters, seed: 1 })
  const startedAt = processorSeconds()
  await detector.fit(train.rows.slice(0, rows), entry.supervised ? train.labels.subarray(0, rows) : undefined)
  const seconds = processorSeconds() - startedAt
  return { detector, seconds, auc: rocAuc(test.labels, detector.decisionFunction(test.rows)) }
}

/** Returns rows per second of processor time, in batches that cycle through the rows. */
export function measureSpeed(
  detector: OutlierDetector,
  rows: readonly Float64Array[],
  batch: number,
  seconds: number
): number {
  const batches: (readonly Float64Array[])[] = []
  for (let start = 0; start + batch <= rows.length; start += batch) batches.push(rows.slice(start, start + batch))
  let done = 0
  let elapsed = 0
  const startedAt = processorSeconds()
  for (let b = 0; elapsed < seconds; b = (b + 1) % batches.length) {
    done += detector.decisionFunction(batches[b]).length
    // Reading the clock is a system call: skip it after most single rows.
    if (batch > 1 || b % 16 === 0) elapsed = processorSeconds() - startedAt
  }
  return done / elapsed
}
