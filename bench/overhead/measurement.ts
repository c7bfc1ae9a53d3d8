// One cell on all brokers: each is started anew and warmed, then they are measured by turns, round after round.

import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { removeFolder, temporaryFolder, type ChildBroker } from '../brokers/child.js'
import { cellTitle, type Cell } from './cells.js'
import { LoadProcess, type Outcome } from './load.js'
import { processorTime, untilAtRest } from './processor-time.js'
import { VARIANTS } from './variants.js'

/** How much of everything. */
export interface Effort {
  /** Names of {@link VARIANTS}. */
  variants: readonly string[]
  rounds: number
  /** Messages of each measurement. */
  messages: number
  /** Messages before the first. */
  warmUp: number
  /** Settings laid over the program's. */
  overrides: readonly string[]
}

/** One measurement. */
export interface Round extends Outcome {
  /** Processor time of the broker's thread, microseconds a message. */
  threadUs: number
  /** And of its whole process. */
  processUs: number
  messagesPerSecond: number
}

/** All measurements of a cell on a broker. */
export interface Series {
  variant: string
  rounds: Round[]
  /** Why there are no more. */
  failed?: string
}

/** What was measured of a cell. */
export interface CellResult {
  cell: Cell
  series: Series[]
}

interface Runner {
  series: Series
  broker?: ChildBroker
}

const LOG_SHOWN = 2_000

/** Measures; a broker that fails is left out from then on, and its series says why. */
export async function measureCell(cell: Cell, effort: Effort, say: (text: string) => void): Promise<CellResult> {
  const folder = temporaryFolder('overhead')
  const load = new LoadProcess(cell)
  const runners = effort.variants.map((variant): Runner => ({ series: { variant, rounds: [] } }))
  const attempt = async (runner: Runner, work: () => Promise<unknown>): Promise<void> => {
    const { series, broker } = runner
    if (series.failed !== undefined) return
    try {
      await work()
    } catch (error) {
      const log = (runner.broker?.log() ?? '').slice(-LOG_SHOWN)
      series.failed = error instanceof Error ? error.message : String(error)
      say(`${cellTitle(cell)}: ${VARIANTS[series.variant].title} failed: ${series.failed}\n${log}`)
      await broker?.kill()
    }
  }
  try {
    for (const runner of runners) {
      const { variant } = runner.series
      say(`${cellTitle(cell)}: ${VARIANTS[variant].title} is warmed`)
      const wanted = {
        folder: mkdtempSync(join(folder, `${variant}-`)),
        inflightMessages: cell.window,
        overrides: effort.overrides
      }
      await attempt(runner, async () => {
        runner.broker = await VARIANTS[variant].start(wanted)
      })
      await attempt(runner, async () => {
        await measure(runner.broker as ChildBroker, load, effort.warmUp)
        await VARIANTS[variant].settle?.(wanted)
      })
    }
    for (let round = 1; round <= effort.rounds; round++) {
      say(`${cellTitle(cell)}: round ${round} of ${effort.rounds}`)
      for (const runner of runners) {
        await attempt(runner, async () => {
          runner.series.rounds.push(await measure(runner.broker as ChildBroker, load, effort.messages))
        })
      }
    }
  } finally {
    await load.end()
    await Promise.all(
      runners.map(async ({ broker }) => {
        await broker?.kill()
      })
    )
    removeFolder(folder)
  }
  return { cell, series: runners.map(({ series }) => series) }
}

async function measure({ port, pid }: ChildBroker, load: LoadProcess, messages: number): Promise<Round> {
  await load.connect(port)
  await untilAtRest(pid)
  const before = processorTime(pid)
  const outcome = await load.send(messages)
  await untilAtRest(pid)
  const after = processorTime(pid)
  await load.leave()
  return {
    threadUs: (after.thread - before.thread) / messages,
    processUs: (after.process - before.process) / messages,
    messagesPerSecond: messages / outcome.seconds,
    ...outcome
  }
}
