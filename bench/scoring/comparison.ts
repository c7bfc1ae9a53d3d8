// One run: both sides train, then score by turns, and medians are taken.

import type { OutlierDetector } from '../../models/index.js'
import { percentile } from '../../models/statistics.js'
import type { Originals } from './originals.js'
import { fitOurs, measureSpeed } from './ours.js'
import type { LabelledRows } from './rows.js'
import { givenFor, sizeOf, type Fitted, type Task } from './task.js'
import { measureInWorker } from './worker.js'

/** Rows of a call, as aimed at. */
export const BATCHES = [1, 32, 1024] as const

/** How long and how often. */
export interface Effort {
  /** Processor time of one measurement. */
  seconds: number
  rounds: number
}

/** Rows per second of processor time, a number for each round. */
export interface Speeds {
  batch: number
  ours: number[]
  theirs: number[]
}

/** All that was measured for a task. */
export interface Result {
  task: Task
  size: string
  ours: Fitted
  theirs: Fitted | undefined
  speeds: Speeds[]
  /** At the largest batch in a worker thread; for the isolation forest only. */
  worker: number[]
}

/** Runs a task; without originals, our side alone. */
export async function compare(
  task: Task,
  train: LabelledRows,
  test: LabelledRows,
  effort: Effort,
  originals?: Originals
): Promise<Result> {
  const { detector, ...ours } = await fitOurs(task, train, test)
  const theirs = await originals?.fit(task, givenFor(task, detector))
  const speeds = BATCHES.map((batch): Speeds => ({ batch, ours: [], theirs: [] }))
  const worker: number[] = []
  for (const { batch } of speeds) await measureBoth(task, detector, test, batch, effort.seconds, originals)
  for (let round = 0; round < effort.rounds; round++) {
    for (const one of speeds) {
      const [mine, other] = await measureBoth(task, detector, test, one.batch, effort.seconds, originals)
      one.ours.push(mine)
      if (other !== undefined) one.theirs.push(other)
    }
    if (task.kind === 'iforest') worker.push(await measureInWorker(detector, test.rows, 1024, effort.seconds))
  }
  return { task, size: sizeOf(detector), ours, theirs, speeds, worker }
}

/** One after the other: what else the machine does then meets both alike. */
async function measureBoth(
  task: Task,
  detector: OutlierDetector,
  test: LabelledRows,
  batch: number,
  seconds: number,
  originals: Originals | undefined
): Promise<[number, number | undefined]> {
  return [measureSpeed(detector, test.rows, batch, seconds), await originals?.speed(task, batch, seconds)]
}

/** The middle of the rounds. */
export function median(values: readonly number[]): number {
  return percentile(values, 50)
}

/** The median over the rounds of ours against theirs; NaN where there is nothing to compare with. */
export function ratio({ ours, theirs }: Speeds): number {
  return theirs.length === 0 ? NaN : median(ours.map((mine, round) => mine / theirs[round]))
}
