// Measures one cell on all brokers: starts and warms up each, then alternates between them, round by round.

import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { removeFolder, temporaryFolder, type ChildBroker } from '../brokers/child.js'
import { cellTitle, type Cell } from './cells.js'
import { LoadProcess, type Outcome } from './load.js'
import { processorTime, waitUntilIdle } from './processor-time.js'
import { VARIANTS } from './variants.js'

/** Size of the measurement. */
export interface Effort {
  /** Names of {@link VARIANTS}. */
  variants: readonly string[]
  rounds: number
  /** Messages per measurement. */
  messages: number
  /** Messages of the warm-up. */
  warmUp: number
  /** Settings that override those of the broker. */
  overrides: readonly string[]
}

/** One measurement. */
export interface Round extends Outcome {
  /** Processor time of the broker thread, microseconds per message. */
  threadUs: number
  /** Processor time of the whole process, microseconds per message. */
  processUs: number
  messagesPerSecond: number
}

/** All measurements of a cell on one broker. */
export interface Series {
  variant: string
  rounds: Round[]
  /** Why the series ended early. */
  failed?: string
}

/** Results of a cell. */
export interface CellResult {
  cell: Cell
  series: Series[]
}

interface Runner {
  series: Series
  broker?: ChildBroker
}

const LOG_SHOWN = 2_000

/** Measures a cell. A broker that fails is skipped from then on, and its series has the reason. */
export async function measureCell(cell: Cell, effort: Effort, print: (text: string) => void): Promise<CellResult> {
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
      print(`${cellTitle(cell)}: ${VARIANTS[series.variant].title} failed: ${series.failed}\n${log}`)
      await broker?.kill()
    }
  }
  try {
    for (const runner of runners) {
      const { variant } = runner.series
      print(`${cellTitle(cell)}: ${VARIANTS[variant].title} warming up`)
      const options = {
        folder: mkdtempSync(join(folder, `${variant}-`)),
        inflightMessages: cell.window,
        overrides: effort.overrides
      }
      await attempt(runner, async () => {
        runner.broker = await VARIANTS[variant].start(options)
      })
      await attempt(runner, async () => {
        await measure(runner.broker as ChildBroker, load, effort.warmUp)
        await VARIANTS[variant].settle?.(options)
      })
    }
    for (let round = 1; round <= effort.rounds; round++) {
      print(`${cellTitle(cell)}: round ${round} of ${effort.rounds}`)
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
  await waitUntilIdle(pid)
  const before = processorTime(pid)
  const outcome = await load.send(messages)
  await waitUntilIdle(pid)
  const after = processorTime(pid)
  await load.disconnect()
  return {
    threadUs: (after.thread - before.thread) / messages,
    processUs: (after.process - before.process) / messages,
    messagesPerSecond: messages / outcome.seconds,
    ...outcome
  }
}
