// Runs one comparison: both sides train, then score in turn; takes medians.

import type { OutlierDetector } from '../../models/index.js'
import { percentile } from '../../models/statistics.js'
import type { ReferenceProcess } from './reference.js'
import { fitOurs, measureSpeed } from './ours.js'
import type { LabelledRows } from './rows.js'
import { referenceParameters, sizeOf, type Fitted, type Task } from './task.js'
import { measureInWorker } from './worker.js'

/** Rows per call. */
export const BATCHES = [1, 32, 1024] as const

/** Duration and rounds of the measurement. */
export interface Effort {
  /** Processor time of one measurement, seconds. */
  seconds: number
  rounds: number
}

/** Rows per second of processor time, one number per round. */
export interface Speeds {
  batch: number
  ours: number[]
  theirs: number[]
}

/** Results of a task. */
export interface Result {
  task: Task
  size: string
  ours: Fitted
  theirs: Fitted | undefined
  speeds: Speeds[]
  /** Speed at the largest batch in a worker thread; isolation forest only. */
  worker: number[]
}

/** Runs a task; without the Python process, only our side. */
export async function compare(
  task: Task,
  train: LabelledRows,
  test: LabelledRows,
  effort: Effort,
  reference?: ReferenceProcess
): Promise<Result> {
  const { detector, ...ours } = await fitOurs(task, train, test)
  const theirs = await reference?.fit(task, referenceParameters(task, detector))
  const speeds = BATCHES.map((batch): Speeds => ({ batch, ours: [], theirs: [] }))
  const worker: number[] = []
  for (const { batch } of speeds) await measureBoth(task, detector, test, batch, effort.seconds, reference)
  for (let round = 0; round < effort.rounds; round++) {
    for (const one of speeds) {
      const [mine, other] = await measureBoth(task, detector, test, one.batch, effort.seconds, reference)
      one.ours.push(mine)
      if (other !== undefined) one.theirs.push(other)
    }
    if (task.kind === 'iforest') worker.push(await measureInWorker(detector, test.rows, 1024, effort.seconds))
  }
  return { task, size: sizeOf(detector), ours, theirs, speeds, worker }
}

/** Measures one after the other, so that other load affects both. */
async function measureBoth(
  task: Task,
  detector: OutlierDetector,
  test: LabelledRows,
  batch: number,
  seconds: number,
  reference: ReferenceProcess | undefined
): Promise<[number, number | undefined]> {
  return [measureSpeed(detector, test.rows, batch, seconds), await reference?.speed(task, batch, seconds)]
}

/** Returns the median. */
export function median(values: readonly number[]): number {
  return percentile(values, 50)
}

/** Returns the median speed ratio, round by round; NaN without the other side. */
export function ratio({ ours, theirs }: Speeds): number {
  return theirs.length === 0 ? NaN : median(ours.map((mine, round) => mine / theirs[round]))
}
