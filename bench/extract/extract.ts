// npm run bench:extract: measures the speed of `artemis extract` and of tshark with the same columns on the same
// captures.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { DEFAULT_MQTT_PORTS } from '../../src/join/capture-records.js'
import { tsharkColumns, tsharkVersion } from '../parity/tshark.js'
import { runProgram } from './program.js'
import type { ProgramCost } from './program.js'
import { replicate } from './replicate.js'
import { STAGES, measureStages } from './stages.js'

const USAGE = 'npm run bench:extract -- [--frames 250000,1000000,2000000] [--rounds 3] [--json FILE] [BASE...]\n'
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
/** Broker traffic that the project ships: Mosquitto with MQTT 3.1, 3.1.1 and 5 clients. */
const BASES = ['mosquitto-31.pcap', 'mosquitto-311.pcap', 'mosquitto-5.pcap'].map(name =>
  path.join(ROOT, 'test/captures', name)
)
const PORTS: ReadonlySet<number> = new Set(DEFAULT_MQTT_PORTS)

/** Figures of one capture. */
interface CaptureFigures {
  frames: number
  megabytes: number
  ours: ProgramCost[]
  tshark: ProgramCost[]
}

async function measure(
  frames: number,
  rounds: number,
  bases: readonly string[],
  folder: string
): Promise<CaptureFigures> {
  const file = path.join(folder, `${frames}.pcap`)
  await replicate(bases, PORTS, frames, file)
  const figures: CaptureFigures = { frames, megabytes: statSync(file).size / 1e6, ours: [], tshark: [] }
  const output = path.join(folder, 'output')
  // Alternate, so that other load on the machine affects both.
  for (let round = 0; round < rounds; round++) {
    figures.ours.push(
      await runProgram(process.execPath, [path.join(ROOT, 'dist/broker/main.js'), 'extract', file], output)
    )
    expectLines(output, frames + 1)
    figures.tshark.push(await runProgram('tshark', tsharkColumns(file, DEFAULT_MQTT_PORTS), output))
    expectLines(output, frames)
  }
  return figures
}

function expectLines(file: string, expected: number): void {
  const bytes = readFileSync(file)
  let lines = 0
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) lines++
  if (lines !== expected) throw new Error(`Expected ${expected} lines of output, got ${lines}`)
}

/** Returns the run with the least processor time: other load only adds to it. */
function best(costs: readonly ProgramCost[]): ProgramCost {
  return costs.reduce((least, cost) => (cost.cpuSeconds < least.cpuSeconds ? cost : least))
}

function rowOf({ frames, megabytes, ours, tshark }: CaptureFigures): string {
  const [own, other] = [best(ours), best(tshark)]
  const speed = ({ cpuSeconds }: ProgramCost): string => Math.round(frames / cpuSeconds).toLocaleString('en')
  return (
    `| ${frames.toLocaleString('en')} | ${megabytes.toFixed(0)} | ${speed(own)} | ${own.peakMB.toFixed(0)} | ` +
    `${speed(other)} | ${other.peakMB.toFixed(0)} | ${medianRatio(ours, tshark).toFixed(1)} |`
  )
}

/** Returns the median speed ratio by round: other load affects both runs of a round. */
function medianRatio(ours: readonly ProgramCost[], tshark: readonly ProgramCost[]): number {
  const ratios = ours.map(({ cpuSeconds }, i) => tshark[i].cpuSeconds / cpuSeconds).sort((a, b) => a - b)
  const half = ratios.length >> 1
  return ratios.length % 2 === 1 ? ratios[half] : (ratios[half - 1] + ratios[half]) / 2
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      frames: { type: 'string', default: '250000,1000000,2000000' },
      rounds: { type: 'string', default: '3' },
      json: { type: 'string' }
    }
  })
  const sizes = values.frames.split(',').map(Number)
  const version = tsharkVersion()
  if (version === null || !sizes.every(Number.isSafeInteger) || !(Number(values.rounds) > 0)) {
    process.stderr.write(version === null ? 'tshark not found. Install tshark.\n' : USAGE)
    process.exitCode = 1
    return
  }
  const machine = `${os.cpus()[0].model}, ${os.cpus().length} cores, load ${os
    .loadavg()
    .map(load => load.toFixed(1))
    .join(' ')}`
  console.log(`${version}; Node ${process.versions.node}; ${machine}\n`)
  console.log(
    '| frames | MB | frames per CPU second | peak MB | tshark: frames per CPU second | peak MB | times as fast |\n|---:|---:|---:|---:|---:|---:|---:|'
  )
  const folder = mkdtempSync(path.join(os.tmpdir(), 'artemis-extract-'))
  try {
    const figures: CaptureFigures[] = []
    for (const frames of sizes) {
      figures.push(await measure(frames, Number(values.rounds), positionals.length > 0 ? positionals : BASES, folder))
      console.log(rowOf(figures[figures.length - 1]))
    }
    const stages = await measureStages(path.join(folder, `${sizes[0]}.pcap`), PORTS)
    const total = stages.reduce((sum, seconds) => sum + seconds, 0)
    console.log('\n| stage | ns per frame | share |\n|---|---:|---:|')
    STAGES.forEach((name, i) => {
      console.log(
        `| ${name} | ${((stages[i] / sizes[0]) * 1e9).toFixed(0)} | ${((100 * stages[i]) / total).toFixed(0)} % |`
      )
    })
    const load = os.loadavg()
    if (values.json !== undefined) {
      writeFileSync(
        values.json,
        JSON.stringify(
          {
            tshark: version,
            node: process.versions.node,
            machine,
            loadAtEnd: load,
            command: `npm run bench:extract -- --frames ${values.frames} --rounds ${values.rounds}`,
            figures,
            stages: Object.fromEntries(STAGES.map((name, i) => [name, stages[i]]))
          },
          null,
          2
        ) + '\n'
      )
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

await main()
