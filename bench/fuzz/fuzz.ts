// npm run bench:fuzz: fuzzes every decoder and the code behind it with grammar-based, coverage-guided inputs.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { fuzz } from './campaign.js'
import type { CampaignResult } from './campaign.js'
import { BlockCoverage } from './coverage.js'
import type { FuzzTarget } from './target.js'

const USAGE = 'npm run bench:fuzz -- [--inputs N] [--seed S] [--target NAME]... [--findings DIRECTORY] [--missed]\n'
const COMPILED = fileURLToPath(new URL('../../', import.meta.url))
/** Inputs that failed earlier, one folder per target. */
const KEPT = fileURLToPath(new URL('../../../test/fuzz/', import.meta.url))

/** Reads the inputs of a target that failed earlier. */
function keptInputs(target: string): Uint8Array[] {
  const folder = path.join(KEPT, target)
  const names = readdirSync(KEPT).includes(target) ? readdirSync(folder).sort() : []
  return names.map(name => new Uint8Array(readFileSync(path.join(folder, name))))
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string', default: '200000' },
      seed: { type: 'string', default: '1' },
      target: { type: 'string', multiple: true },
      findings: { type: 'string' },
      missed: { type: 'boolean', default: false }
    }
  })
  const [inputs, seed] = [Number(values.inputs), Number(values.seed)]
  const coverage = new BlockCoverage()
  // Import only now: coverage does not include code compiled before it started.
  const { TARGETS } = await import('./targets/index.js')
  const chosen = TARGETS.filter(({ name }) => values.target?.includes(name) ?? true)
  if (!Number.isSafeInteger(inputs) || !Number.isSafeInteger(seed) || chosen.length === 0) {
    process.stderr.write(`${USAGE}targets: ${TARGETS.map(({ name }) => name).join(', ')}\n`)
    process.exitCode = 1
    return
  }
  console.log(`Seed ${seed}, Node ${process.versions.node}\n\n${HEADER}`)
  const weights = chosen.reduce((sum, { weight }) => sum + weight, 0)
  const total = { inputs: 0, seconds: 0, findings: 0 }
  for (const target of chosen) {
    const share = Math.ceil((inputs * target.weight) / weights)
    const result = await fuzz(target, { inputs: share, seed, coverage, kept: keptInputs(target.name) })
    total.inputs += result.inputs
    total.seconds += result.seconds
    total.findings += result.findings.length
    console.log(rowOf(target, result))
    printFindings(target.name, result, values.findings)
    if (values.missed) printMissed(coverage, target)
  }
  coverage.stop()
  console.log(`\n${total.inputs} inputs, ${Math.round(total.seconds)} s of processor time, ${total.findings} findings`)
  if (total.findings > 0) process.exitCode = 1
}

const HEADER =
  '| target | inputs | MB | s | corpus | code reached | heap, MB | slowest, ms | findings | checked for every input |\n' +
  '|---|---:|---:|---:|---:|---:|---:|---:|---:|---|'

function rowOf({ name, properties }: FuzzTarget, result: CampaignResult): string {
  const { inputs, bytes, seconds, corpus, reached, heapEarlyMB, heapLaterMB, slowestMs, findings } = result
  const cells = [
    name,
    inputs,
    (bytes / 1e6).toFixed(1),
    seconds.toFixed(1),
    corpus,
    `${(100 * reached).toFixed(1)} %`,
    `${heapEarlyMB.toFixed(1)} to ${heapLaterMB.toFixed(1)}`,
    slowestMs.toFixed(1),
    findings.length,
    properties
  ]
  return `| ${cells.join(' | ')} |`
}

/** Prints the code that no input reached. */
function printMissed(coverage: BlockCoverage, { covers }: FuzzTarget): void {
  for (const file of covers) {
    const text = readFileSync(path.join(COMPILED, file), 'utf8')
    for (const [start, end] of coverage.missed(file)) {
      console.log(
        `  never ran: ${file}:${text.slice(0, start).split('\n').length}: ${text.slice(start, end).trim().split('\n')[0]}`
      )
    }
  }
}

/** Prints the findings, and saves their inputs if a folder is given. */
function printFindings(target: string, { findings }: CampaignResult, folder: string | undefined): void {
  for (const { what, input, count } of findings) {
    process.stderr.write(`${target}: ${what} (${count} inputs): ${Buffer.from(input).toString('hex')}\n`)
    if (folder === undefined) continue
    mkdirSync(path.join(folder, target), { recursive: true })
    writeFileSync(path.join(folder, target, `${what.replace(/[^a-z0-9]+/gi, '-').slice(0, 80)}.bin`), input)
  }
}

await main()
