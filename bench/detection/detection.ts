// npm run bench:detection: how well the shipped detector tells the lab's attacks from benign traffic of another household.

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { OperatorError } from '../../src/errors.js'
import { DEFAULTS } from '../../src/settings.js'
import { ATTACKS } from '../lab/attacks/catalog.js'
import { judgeLab, recordsOf } from './captures.js'
import { attackFigures, type AttackFigures } from './figures.js'
import { attackCaptures, benignCaptures, CAPTURES_FOLDER, provideCaptures } from './lab-captures.js'
import { compareDetectors, comparisonReport, detectorsOf } from './detectors.js'
import { dadFigures, mqttsetFigures, type PublicFigures } from './public-captures.js'
import { attackRow, report } from './report.js'
import { readResults, writeResults, type PublicResults } from './results.js'
import { describeRun } from './run.js'
import { fitModel, parametersOf, TRAINING_RECORDS, withLimits } from './training.js'

const USAGE = `npm run bench:detection -- [--captures DIR] [--attacks NAME[,NAME...]] [--train S[,S...]] [--seed S] [--make-only] [--detectors NAME[,NAME...]] [--mqttset DIR] [--dad DIR] [--out FILE]

  --captures   where captures of the lab are kept; those that are missing are made, which takes about 45 minutes for all; ${CAPTURES_FOLDER} unless told
  --attacks    all unless told
  --train      seeds of the benign captures to learn from; 3,4,5 unless told
  --seed       of the captures to test on; 2 unless told
  --make-only  makes the captures and ends
  --detectors  also compares the default with these, or with all, in detectors.md and detectors.json beside the report
  --mqttset    a folder of MQTTset's captures (benign*, and one file for each attack)
  --dad        a folder of DAD's days (*_mon.pcap, ..., *_labels.csv)
  --out        the report; the figures go beside it as JSON; bench/results/detection.md unless told`

const begun = performance.now()
const say = (text: string): void => { process.stderr.write(`${text}\n`) }

async function run (): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      captures: { type: 'string', default: CAPTURES_FOLDER }, attacks: { type: 'string', default: ATTACKS.map(({ name }) => name).join() },
      train: { type: 'string', default: '3,4,5' }, seed: { type: 'string', default: '2' }, 'make-only': { type: 'boolean', default: false }, detectors: { type: 'string' },
      mqttset: { type: 'string' }, dad: { type: 'string' }, out: { type: 'string', default: 'bench/results/detection.md' }, help: { type: 'boolean', default: false }
    }
  })
  if (options.help) {
    say(USAGE)
    return
  }
  const folder = options.captures
  const kinds = options.detectors === undefined ? [] : detectorsOf(options.detectors)
  const names = options.attacks.split(',')
  const benign = benignCaptures(options.train.split(',').map(seedOf))
  const tested = attackCaptures(names, seedOf(options.seed))
  const captures = await provideCaptures(folder, [...benign, ...tested])
  if (options['make-only']) return
  const judgingBegun = performance.now()

  const records = await recordsOf(benign.map(({ name }) => join(folder, `${name}.pcap`)))
  const fitBegun = performance.now()
  const fitted = await fitModel(records)
  const seconds = (performance.now() - fitBegun) / 1_000
  const model = withLimits(fitted, records)
  const attacks: AttackFigures[] = []
  for (const [i, { name }] of tested.entries()) {
    const { models: [{ scores }], ...labels } = await judgeLab(folder, name, [model])
    attacks.push(attackFigures(names[i], labels, scores))
    say(attackRow(attacks[i]).join(' | '))
  }

  const json = options.out.replace(/(\.md)?$/, '.json')
  const earlier = await readResults(json)
  const publicResults = async (path: string | undefined, figuresOf: typeof mqttsetFigures, before: PublicResults | undefined): Promise<PublicResults | undefined> => {
    // What this run does not judge stands there as it was, with its own date.
    if (path === undefined) return before
    const publicBegun = performance.now()
    const figures = await figuresOf(path, ({ name, auc, recall }: PublicFigures) => { say(`${name} | ${auc.toFixed(4)} | ${recall.toFixed(3)}`) })
    return { run: describeRun('bench:detection', publicBegun), figures }
  }
  const mqttset = await publicResults(options.mqttset, mqttsetFigures, earlier?.mqttset)
  const dad = await publicResults(options.dad, dadFigures, earlier?.dad)
  const { kind, features } = DEFAULTS.detector
  const results = {
    run: describeRun('bench:detection', judgingBegun),
    model: {
      detector: kind, features, parameters: parametersOf(kind), digest: model.digest,
      captures: benign.map(({ name }) => name), records: records.length, taken: Math.min(records.length, TRAINING_RECORDS), seconds
    },
    captures, attacks, ...mqttset !== undefined && { mqttset }, ...dad !== undefined && { dad }
  }
  await mkdir(dirname(options.out), { recursive: true })
  await writeResults(json, results)
  const text = report(results)
  await writeFile(options.out, text)
  process.stdout.write(text)
  if (kinds.length > 0) {
    const comparisonBegun = performance.now()
    const compared = await compareDetectors(kinds, records, folder, names, seedOf(options.seed), say)
    const comparison = { run: describeRun('bench:detection', comparisonBegun), ...compared }
    const place = join(dirname(options.out), 'detectors')
    await writeResults(`${place}.json`, comparison)
    await writeFile(`${place}.md`, comparisonReport(comparison, results.model.captures, results.model.taken))
  }
  say(`${((performance.now() - begun) / 60_000).toFixed(1)} minutes in all`)
}

function seedOf (text: string): number {
  const seed = Number(text)
  if (!/^\d+$/.test(text) || seed >= 2 ** 32) throw new OperatorError('bench-seed', `a seed is a whole number, not "${text}"`)
  return seed
}

try {
  await run()
} catch (error) {
  say(error instanceof OperatorError ? error.message : error instanceof Error ? error.stack ?? error.message : String(error))
  process.exitCode = 1
}
