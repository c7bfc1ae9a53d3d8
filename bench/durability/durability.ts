// npm run bench:durability: kills the broker under load, lets all clients resume, and counts lost, duplicate and
// reordered messages.

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { removeFolder, temporaryFolder } from '../brokers/child.js'
import { describeRun, loadAverages, runMetadata } from '../run-metadata.js'
import { runKills, type KillFigures } from './kills.js'
import { describeErrors, tables } from './report.js'
import { VARIANTS } from './variants.js'

const HELP = `npm run bench:durability -- [options]

  --kills N          (default: 200)
  --variants LIST    ${Object.keys(VARIANTS).join(', ')} (default: artemis)
  --publishers N     half with QoS 1, half with QoS 2 (default: 8)
  --window N         unacknowledged messages per publisher (default: 50)
  --longest MS       longest time from the checks to the kill (default: 1500)
  --setting K=V      broker setting, such as store.sync=true; may be repeated
  --write            write the figures to bench/results/durability.json
`

const root = fileURLToPath(new URL('../../../', import.meta.url))

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    variants: { type: 'string', default: 'artemis' },
    publishers: { type: 'string', default: '8' },
    window: { type: 'string', default: '50' },
    longest: { type: 'string', default: '1500' },
    setting: { type: 'string', multiple: true, default: [] },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false }
  }
})

function numberOf(name: 'kills' | 'publishers' | 'window' | 'longest'): number {
  if (!/^[1-9]\d{0,5}$/.test(values[name]))
    throw new Error(`Invalid --${name} ${values[name]}: use a whole number above 0.`)
  return Number(values[name])
}

/** Runs the bench for one broker. */
async function run(name: string): Promise<KillFigures> {
  if (!Object.hasOwn(VARIANTS, name))
    throw new Error(`Invalid --variants ${name}: use ${Object.keys(VARIANTS).join(', ')}.`)
  const variant = VARIANTS[name]
  const plan = {
    kills: numberOf('kills'),
    publishers: numberOf('publishers'),
    window: numberOf('window'),
    longestMs: numberOf('longest'),
    hasControl: variant.isOurs
  }
  const folder = temporaryFolder('durability')
  try {
    return await runKills(
      port => variant.start(folder, port, values.setting),
      plan,
      (kills, { acknowledged }) => {
        process.stderr.write(
          `${variant.title}: kill ${kills} of ${plan.kills}, ${acknowledged[1]} and ${acknowledged[2]} acknowledged\n`
        )
      }
    )
  } finally {
    removeFolder(folder)
  }
}

async function main(): Promise<void> {
  const loadBefore = loadAverages()
  const results: { variant: string; figures: KillFigures }[] = []
  for (const variant of values.variants.split(',')) results.push({ variant, figures: await run(variant) })
  const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string }
  const report = {
    ...runMetadata('bench:durability', loadBefore),
    versions: { artemis: version, node: process.versions.node }
  }
  const { versions } = report
  console.log(`${describeRun(report)} Artemis ${versions.artemis}, Node ${versions.node}. \`${report.command}\``)
  for (const { variant, figures } of results) {
    const { title, isOurs } = VARIANTS[variant]
    const faults = describeErrors(figures)
    console.log(`\n## ${title}, ${figures.kills} kills\n\n${tables(figures)}\n`)
    console.log(faults.length === 0 ? 'No errors.' : faults.map(text => `- ${text}`).join('\n'))
    if (isOurs && faults.length > 0) process.exitCode = 1
  }
  if (values.write)
    writeFileSync(`${root}bench/results/durability.json`, `${JSON.stringify({ ...report, results }, undefined, 1)}\n`)
}

if (values.help) console.log(HELP)
else await main()
