// npm run bench:overhead: compares processor time per message and messages per second with bare Aedes and mosquitto.

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { mosquittoVersion } from '../brokers/mosquitto.js'
import { describeRun, loadAverages, runMetadata } from '../run-metadata.js'
import { CHOICES, cellsOf } from './cells.js'
import { measureCell, type CellResult } from './measurement.js'
import { aimLines, anomalies, resultTable } from './table.js'
import { VARIANTS } from './variants.js'

const HELP = `npm run bench:overhead -- [options]

  --quick            two minutes: raw sockets, window 1000, three rounds of 40,000 messages
  --variants LIST    ${Object.keys(VARIANTS).join(', ')}
                     (default: aedes,core,artemis,mosquitto; ratios relative to the first)
  --load LIST        ${CHOICES.load.join(', ')} (default: both)
  --qos LIST         ${CHOICES.qos.join(', ')} (default: 0,1)
  --session LIST     session of the subscriber: ${CHOICES.session.join(', ')} (default: both)
  --window LIST      in-flight window of both sides (default: ${CHOICES.window.join(',')})
  --rounds N         rounds per cell (default: 5)
  --messages N       messages per measurement (default: 100000)
  --warm-up N        messages of the warm-up (default: 50000)
  --setting K=V      broker setting, such as syncWrites=true; may be repeated
  --write            write every round to bench/results/overhead.json
`

const root = fileURLToPath(new URL('../../../', import.meta.url))
const print = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    variants: { type: 'string' },
    load: { type: 'string' },
    qos: { type: 'string', default: '0,1' },
    session: { type: 'string', default: CHOICES.session.join() },
    window: { type: 'string' },
    rounds: { type: 'string' },
    messages: { type: 'string' },
    'warm-up': { type: 'string', default: '50000' },
    setting: { type: 'string', multiple: true, default: [] },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false }
  }
})

/** Parses a list option; throws if a value is not allowed. */
function listOf(name: string, text: string, choices: readonly string[]): string[] {
  const list = text.split(',')
  const wrong = list.find(one => !choices.includes(one))
  if (wrong !== undefined) throw new Error(`Invalid --${name} ${wrong}: use ${choices.join(', ')}.`)
  return list
}

function numberOf(name: string, text: string): number {
  if (!/^[1-9]\d{0,7}$/.test(text)) throw new Error(`Invalid --${name} ${text}: use a whole number above 0.`)
  return Number(text)
}

function packageVersion(file: string): string {
  return (JSON.parse(readFileSync(`${root}${file}`, 'utf8')) as { version: string }).version
}

async function main(): Promise<void> {
  const mosquitto = mosquittoVersion()
  if (mosquitto === undefined) print('mosquitto not found: skipped')
  const variants = listOf('variants', values.variants ?? 'aedes,core,artemis,mosquitto', Object.keys(VARIANTS)).filter(
    name => name !== 'mosquitto' || mosquitto !== undefined
  )
  const cells = cellsOf({
    load: listOf('load', values.load ?? (values.quick ? 'raw' : CHOICES.load.join()), CHOICES.load),
    qos: listOf('qos', values.qos, CHOICES.qos),
    session: listOf('session', values.session, CHOICES.session),
    window: (values.window ?? (values.quick ? CHOICES.window[0] : CHOICES.window.join()))
      .split(',')
      .map(text => String(numberOf('window', text)))
  })
  const effort = {
    variants,
    rounds: numberOf('rounds', values.rounds ?? (values.quick ? '3' : '5')),
    messages: numberOf('messages', values.messages ?? (values.quick ? '40000' : '100000')),
    warmUp: numberOf('warm-up', values['warm-up']),
    overrides: values.setting
  }
  const loadBefore = loadAverages()
  const results: CellResult[] = []
  for (const cell of cells) results.push(await measureCell(cell, effort, print))
  const run = {
    ...runMetadata('bench:overhead', loadBefore),
    versions: {
      artemis: packageVersion('package.json'),
      aedes: packageVersion('node_modules/aedes/package.json'),
      mqttJs: packageVersion('node_modules/mqtt/package.json'),
      node: process.versions.node,
      mosquitto: mosquitto ?? 'not installed'
    },
    effort
  }
  const { versions } = run
  console.log(
    `${describeRun(run)} Artemis ${versions.artemis}, Aedes ${versions.aedes}, ` +
      `mosquitto ${versions.mosquitto}, mqtt.js ${versions.mqttJs}, Node ${versions.node}. \`${run.command}\`: medians of ${effort.rounds} rounds of ${effort.messages.toLocaleString('en')} messages ` +
      `of 64 bytes, ${effort.warmUp.toLocaleString('en')} before; × is the ratio to ${VARIANTS[variants[0]].title} in the same round.\n`
  )
  console.log(resultTable(results, variants[0]))
  for (const lines of [aimLines(results, variants[0]), anomalies(results)])
    if (lines.length > 0) console.log(`\n${lines.map(line => `- ${line}`).join('\n')}`)
  if (values.write)
    writeFileSync(`${root}bench/results/overhead.json`, `${JSON.stringify({ ...run, results }, undefined, 1)}\n`)
  if (results.some(({ series }) => series.some(({ failed }) => failed !== undefined))) process.exitCode = 1
}

if (values.help) console.log(HELP)
else await main()
