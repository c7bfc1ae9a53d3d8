// npm run bench:detection: how well the shipped detector tells the lab's attacks from benign traffic of another
// household.

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { OperatorError } from '../../src/errors.js'
import type { GuardModel } from '../../src/scoring/guard-model.js'
import { DEFAULTS } from '../../src/settings.js'
import { ATTACKS } from '../lab/attacks/catalog.js'
import { judgeLab, recordsOf } from './captures.js'
import { attackFigures, type AttackFigures } from './figures.js'
import { refreshFixtures } from './fixtures.js'
import { attackCaptures, benignCaptures, CAPTURES_FOLDER, provideCaptures } from './lab-captures.js'
import { compareDetectors, comparisonReport, detectorsOf } from './detectors.js'
import { dadFigures, mqttsetFigures } from './public-captures.js'
import { attackRow, report } from './report.js'
import { readResults, writeResults, type DetectionResults, type PublicResults } from './results.js'
import { describeRun } from './run.js'
import { saveTrainedModel } from './trained-model.js'
import { fitModel, parametersOf, TRAINING_RECORDS, withLimits } from './training.js'

const USAGE = `npm run bench:detection -- [--captures DIR] [--attacks NAME[,NAME...]] [--train S[,S...]] [--seed S] [--make-only] [--detectors NAME[,NAME...]] [--refresh] [--mqttset DIR] [--dad DIR] [--out FILE]

  --captures   where captures of the lab are kept; those that are missing are made, which takes about 45 minutes for all; ${CAPTURES_FOLDER} unless told
  --attacks    all unless told
  --train      seeds of the benign captures to learn from; 3,4,5 unless told
  --seed       of the captures to test on; 7 unless told: a household that nothing was chosen by
  --make-only  makes the captures and ends
  --detectors  also compares these, such as kmeans,ocsvm:nu=0.1, or all, in detectors.md and detectors.json beside the report
  --refresh    also makes models/trained and the captures and floors of test/bench/detection.test.ts anew
  --mqttset    a folder of MQTTset's captures (benign*, and one file for each attack)
  --dad        a folder of DAD's days (*_mon.pcap, ..., *_labels.csv)
  --out        the report; the figures go beside it as JSON; bench/results/detection.md unless told`

const ROOT = new URL('../../../', import.meta.url)
const EVERY_ATTACK = ATTACKS.map(({ name }) => name).join()
const begun = performance.now()
const say = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

async function run(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      captures: { type: 'string', default: CAPTURES_FOLDER },
      attacks: { type: 'string', default: EVERY_ATTACK },
      train: { type: 'string', default: '3,4,5' },
      seed: { type: 'string', default: '7' },
      'make-only': { type: 'boolean', default: false },
      detectors: { type: 'string' },
      refresh: { type: 'boolean', default: false },
      mqttset: { type: 'string' },
      dad: { type: 'string' },
      out: { type: 'string', default: 'bench/results/detection.md' },
      help: { type: 'boolean', default: false }
    }
  })
  if (options.help) {
    say(USAGE)
    return
  }
  if (options.refresh && options.attacks !== EVERY_ATTACK)
    throw new OperatorError(
      'bench-refresh',
      'the card of the trained model tells the figures of all attacks: --refresh goes without --attacks'
    )
  const folder = options.captures
  const kinds = options.detectors === undefined ? [] : detectorsOf(options.detectors)
  const names = options.attacks.split(',')
  const trainSeeds = options.train.split(',').map(seedOf)
  const benign = benignCaptures(trainSeeds)
  const seed = seedOf(options.seed)
  const captures = await provideCaptures(folder, [...benign, ...attackCaptures(names, seed)])
  if (options['make-only']) return
  const judgingBegun = performance.now()
  const records = await recordsOf(benign.map(({ name }) => join(folder, `${name}.pcap`)))
  const fitBegun = performance.now()
  const fitted = await fitModel(records)
  const seconds = (performance.now() - fitBegun) / 1_000
  const model = withLimits(fitted, records)
  const attacks = await judgeAttacks(folder, names, seed, model)

  const json = options.out.replace(/(\.md)?$/, '.json')
  const earlier = await readResults(json)
  const mqttset = await publicResults(options.mqttset, mqttsetFigures, earlier?.mqttset)
  const dad = await publicResults(options.dad, dadFigures, earlier?.dad)
  const { kind, features } = DEFAULTS.detector
  const results: DetectionResults = {
    run: describeRun('bench:detection', judgingBegun),
    model: {
      detector: kind,
      features,
      parameters: parametersOf(kind),
      trainingDigest: model.digest,
      captures: benign.map(({ name }) => name),
      records: records.length,
      taken: Math.min(records.length, TRAINING_RECORDS),
      seconds
    },
    captures,
    attacks,
    ...(mqttset !== undefined && { mqttset }),
    ...(dad !== undefined && { dad })
  }
  await mkdir(dirname(options.out), { recursive: true })
  await writeResults(json, results)
  const text = report(results)
  await writeFile(options.out, text)
  process.stdout.write(text)
  if (options.refresh) {
    const trained = await saveTrainedModel(fileURLToPath(new URL('models/trained/', ROOT)), model, results)
    await refreshFixtures(
      folder,
      fileURLToPath(new URL('test/fixtures/lab/', ROOT)),
      { trainSeed: trainSeeds[0], seed },
      trained,
      say
    )
  }
  if (kinds.length > 0) {
    const comparisonBegun = performance.now()
    const compared = await compareDetectors(kinds, records, folder, names, seed, say)
    const comparison = { run: describeRun('bench:detection', comparisonBegun), ...compared }
    const place = join(dirname(options.out), 'detectors')
    await writeResults(`${place}.json`, comparison)
    await writeFile(`${place}.md`, comparisonReport(comparison, results.model.captures, results.model.taken))
  }
  say(`${((performance.now() - begun) / 60_000).toFixed(1)} minutes in all`)
}

async function judgeAttacks(
  folder: string,
  names: readonly string[],
  seed: number,
  model: GuardModel
): Promise<AttackFigures[]> {
  const all: AttackFigures[] = []
  for (const name of names) {
    const {
      models: [{ scores }],
      ...labels
    } = await judgeLab(folder, `${name}-s${seed}`, [model])
    const figures = attackFigures(name, labels, scores)
    say(attackRow(figures).join(' | '))
    all.push(figures)
  }
  return all
}

/** What this run does not judge stands as it was, with its own date. */
async function publicResults(
  path: string | undefined,
  figuresOf: typeof mqttsetFigures,
  before: PublicResults | undefined
): Promise<PublicResults | undefined> {
  if (path === undefined) return before
  const publicBegun = performance.now()
  const figures = await figuresOf(path, ({ name, auc, recall }) => {
    say(`${name} | ${auc.toFixed(4)} | ${recall.toFixed(3)}`)
  })
  return { run: describeRun('bench:detection', publicBegun), figures }
}

function seedOf(text: string): number {
  const seed = Number(text)
  if (!/^\d+$/.test(text) || seed >= 2 ** 32)
    throw new OperatorError('bench-seed', `a seed is a whole number, not "${text}"`)
  return seed
}

try {
  await run()
} catch (error) {
  say(
    error instanceof OperatorError
      ? error.message
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error)
  )
  process.exitCode = 1
}
