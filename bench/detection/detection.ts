// npm run bench:detection: measures how well the shipped detector separates the lab's attacks from benign traffic of
// another household.

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { OperatorError } from '../../src/errors.js'
import type { GuardModel } from '../../src/scoring/guard-model.js'
import { DEFAULTS } from '../../src/settings.js'
import { ATTACKS } from '../lab/attacks/catalog.js'
import { scoreLabCapture, recordsOf } from './captures.js'
import { attackFigures, type AttackFigures } from './figures.js'
import { refreshFixtures } from './fixtures.js'
import { attackCaptures, benignCaptures, CAPTURES_FOLDER, ensureCaptures } from './lab-captures.js'
import { compareDetectors, comparisonReport, detectorsOf } from './detectors.js'
import { dadFigures, mqttsetFigures } from './public-captures.js'
import { attackRow, report } from './report.js'
import { readResults, writeResults, type DetectionResults, type PublicResults } from './results.js'
import { describeRun } from './run.js'
import { saveTrainedModel } from './trained-model.js'
import { fitModel, parametersOf, TRAINING_RECORDS, withLimits } from './training.js'

const USAGE = `npm run bench:detection -- [--captures DIR] [--attacks NAME[,NAME...]] [--train S[,S...]] [--seed S] [--make-only] [--detectors NAME[,NAME...]] [--refresh] [--mqttset DIR] [--dad DIR] [--out FILE]

  --captures   folder of the lab captures; missing captures are made, which takes about 45 minutes for all (default: ${CAPTURES_FOLDER})
  --attacks    attacks to score (default: all)
  --train      seeds of the benign captures to train on (default: 3,4,5)
  --seed       seed of the captures to test on (default: 7, a household that was not used to choose columns or parameters)
  --make-only  make the captures and exit
  --detectors  also compare these detectors, such as kmeans,ocsvm:nu=0.1, or all; writes detectors.md and detectors.json next to the report
  --refresh    also rebuild models/trained and the captures and floors of test/bench/detection.test.ts
  --mqttset    folder of MQTTset captures (benign*, and one file per attack)
  --dad        folder of DAD captures (*_mon.pcap, ..., *_labels.csv)
  --out        report file; the figures are written next to it as JSON (default: bench/results/detection.md)`

const ROOT = new URL('../../../', import.meta.url)
const EVERY_ATTACK = ATTACKS.map(({ name }) => name).join()
const startedAt = performance.now()
const print = (text: string): void => {
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
    print(USAGE)
    return
  }
  if (options.refresh && options.attacks !== EVERY_ATTACK)
    throw new OperatorError(
      'bench-refresh',
      'Do not combine --refresh with --attacks: the model card lists the figures of all attacks.'
    )
  const folder = options.captures
  const kinds = options.detectors === undefined ? [] : detectorsOf(options.detectors)
  const names = options.attacks.split(',')
  const trainSeeds = options.train.split(',').map(seedOf)
  const benign = benignCaptures(trainSeeds)
  const seed = seedOf(options.seed)
  const captures = await ensureCaptures(folder, [...benign, ...attackCaptures(names, seed)])
  if (options['make-only']) return
  const scoringStartedAt = performance.now()
  const records = await recordsOf(benign.map(({ name }) => join(folder, `${name}.pcap`)))
  const fitStartedAt = performance.now()
  const fitted = await fitModel(records)
  const seconds = (performance.now() - fitStartedAt) / 1_000
  const model = withLimits(fitted, records)
  const attacks = await scoreAttacks(folder, names, seed, model)

  const json = options.out.replace(/(\.md)?$/, '.json')
  const earlier = await readResults(json)
  const mqttset = await publicResults(options.mqttset, mqttsetFigures, earlier?.mqttset)
  const dad = await publicResults(options.dad, dadFigures, earlier?.dad)
  const { kind, features } = DEFAULTS.detector
  const results: DetectionResults = {
    run: describeRun('bench:detection', scoringStartedAt),
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
      print
    )
  }
  if (kinds.length > 0) {
    const comparisonStartedAt = performance.now()
    const compared = await compareDetectors(kinds, records, folder, names, seed, print)
    const comparison = { run: describeRun('bench:detection', comparisonStartedAt), ...compared }
    const place = join(dirname(options.out), 'detectors')
    await writeResults(`${place}.json`, comparison)
    await writeFile(`${place}.md`, comparisonReport(comparison, results.model.captures, results.model.taken))
  }
  print(`${((performance.now() - startedAt) / 60_000).toFixed(1)} minutes in total`)
}

async function scoreAttacks(
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
    } = await scoreLabCapture(folder, `${name}-s${seed}`, [model])
    const figures = attackFigures(name, labels, scores)
    print(attackRow(figures).join(' | '))
    all.push(figures)
  }
  return all
}

/** Returns new figures, or those of the earlier run with its date if no folder is given. */
async function publicResults(
  path: string | undefined,
  figuresOf: typeof mqttsetFigures,
  before: PublicResults | undefined
): Promise<PublicResults | undefined> {
  if (path === undefined) return before
  const publicStartedAt = performance.now()
  const figures = await figuresOf(path, ({ name, auc, recall }) => {
    print(`${name} | ${auc.toFixed(4)} | ${recall.toFixed(3)}`)
  })
  return { run: describeRun('bench:detection', publicStartedAt), figures }
}

function seedOf(text: string): number {
  const seed = Number(text)
  if (!/^\d+$/.test(text) || seed >= 2 ** 32)
    throw new OperatorError('bench-seed', `Invalid seed "${text}": use a whole number below 2^32.`)
  return seed
}

try {
  await run()
} catch (error) {
  print(
    error instanceof OperatorError
      ? error.message
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error)
  )
  process.exitCode = 1
}
