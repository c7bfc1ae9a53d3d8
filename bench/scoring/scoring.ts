// npm run bench:scoring: measures the scoring and training speed of the seven detectors and of their Python reference
// implementations.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { loadAverages } from '../run-metadata.js'
import { compare, median, type Result } from './comparison.js'
import { ReferenceProcess } from './reference.js'
import { makeRows } from './rows.js'
import { speedTable, trainingTable } from './tables.js'
import { tasks } from './task.js'

const TRAIN_ROWS = 50_000
const TEST_ROWS = 8_192
const SEED = 1
const SECONDS = 0.3
const ROUNDS = 5

const print = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: 'string' }, json: { type: 'string' } } })
  const { train, test } = makeRows(TRAIN_ROWS, TEST_ROWS, SEED)
  const chosen = tasks(TRAIN_ROWS).filter(
    ({ kind }) => values.only === undefined || values.only.split(',').includes(kind)
  )
  const folder = mkdtempSync(join(tmpdir(), 'artemis-scoring-'))
  const loadBefore = loadAverages()
  let reference: ReferenceProcess | undefined
  const results: Result[] = []
  try {
    reference = await ReferenceProcess.start(folder, train, test)
    for (const task of chosen) {
      print(task.name)
      results.push(await compare(task, train, test, { seconds: SECONDS, rounds: ROUNDS }, reference))
    }
  } finally {
    reference?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  const machine = {
    date: new Date().toISOString().slice(0, 10),
    processor: `${cpus().length} x ${cpus()[0].model}`,
    load: `${loadBefore} before, ${loadAverages()} after`,
    versions: `Node ${process.version.slice(1)}, ${reference.versions}`
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, results }, undefined, 1)}\n`)
  console.log(Object.values(machine).join('; '))
  console.log(`\n${speedTable(results)}\n\n${trainingTable(results)}`)
  for (const { task, worker } of results) {
    if (worker.length > 0)
      console.log(
        `\n${task.name} in a worker thread, batch 1,024: ${Math.round(median(worker)).toLocaleString('en')} rows per second.`
      )
  }
}

await main()
