// npm run bench:ablation: measures what each group of columns adds to detection, per attack; with --each, each column.

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { recallAtFpr, rocAuc } from '../../models/index.js'
import type { GuardModel } from '../../src/scoring/guard-model.js'
import { DEFAULTS } from '../../src/settings.js'
import { scoreLabCapture, recordsOf } from '../detection/captures.js'
import { attackCaptures, benignCaptures, CAPTURES_FOLDER, ensureCaptures } from '../detection/lab-captures.js'
import { aucText, shareText, table } from '../detection/report.js'
import { writeResults } from '../detection/results.js'
import { describeRun, runLine } from '../detection/run.js'
import { fitModel } from '../detection/training.js'
import { ATTACKS } from '../lab/attacks/catalog.js'
import { choices, eachColumn } from './choices.js'

const { values: options } = parseArgs({
  options: {
    captures: { type: 'string', default: CAPTURES_FOLDER },
    train: { type: 'string', default: '3,4,5' },
    seed: { type: 'string', default: '2' },
    attacks: { type: 'string', default: ATTACKS.map(({ name }) => name).join() },
    records: { type: 'string', default: '40000' },
    frames: { type: 'string', default: '20000' },
    each: { type: 'boolean', default: false },
    out: { type: 'string' }
  }
})

/** Figures of one attack with one choice of columns. */
interface Cell {
  auc: number
  recall: number
}

const out = options.out ?? `bench/results/ablation${options.each ? '-columns' : ''}.md`
const print = (text: string): void => {
  process.stderr.write(`${text}\n`)
}
const names = options.attacks.split(',')
const benign = benignCaptures(options.train.split(',').map(Number))
const tested = attackCaptures(names, Number(options.seed))
await ensureCaptures(options.captures, [...benign, ...tested])

const startedAt = performance.now()
const compared = options.each ? eachColumn() : choices()
const records = await recordsOf(benign.map(({ name }) => join(options.captures, `${name}.pcap`)))
const models: GuardModel[] = []
for (const { name, features } of compared) {
  print(`training ${name}`)
  models.push(await fitModel(records, { features, records: Number(options.records) }))
}
/** One row per attack, one cell per choice. */
const cells: Cell[][] = []
for (const { name } of tested) {
  print(`scoring ${name}`)
  const { attack, models: scored } = await scoreLabCapture(options.captures, name, models, Number(options.frames))
  cells.push(scored.map(({ scores }) => ({ auc: rocAuc(attack, scores), recall: recallAtFpr(attack, scores, 0.01) })))
}

const run = describeRun('bench:ablation', startedAt)
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
const tableLines = (pick: (cell: Cell) => number, text: (value: number) => string): string[] => {
  const rows = [
    ...cells.map((row, i) => ({ name: names[i], values: row.map(pick) })),
    { name: '**mean**', values: compared.map((_, c) => mean(cells.map(row => pick(row[c])))) }
  ]
  return table(
    ['attack', ...compared.map(({ name }) => name)],
    rows.map(({ name, values: [shipped, ...others] }) => [
      name,
      text(shipped),
      ...others.map(value => difference(value - shipped))
    ])
  )
}
const setting = `Detector \`${DEFAULTS.detector.kind}\`, trained on ${options.records} frames sampled evenly from ${benign.map(({ name }) => name).join(', ')}; scored on the first ${options.frames} frames of each attack capture of seed ${options.seed}.`
const caution =
  'Differences of a few thousandths are noise. Columns are chosen on these captures; the figures in detection.md are for another household.'
const byGroup = (): string[] => [
  '# What each group of columns adds',
  '',
  setting,
  'The first column is the shipped preset. The others show the change in the figure without a group of columns, or with columns that',
  'the preset deliberately excludes. A minus under `- conn_*` means that the group helps. docs/features.md describes the columns.',
  caution,
  '',
  `${runLine(run)}.`,
  '',
  '## Recall at 1 % false positives',
  '',
  ...tableLines(({ recall }) => recall, shareText),
  '',
  '## ROC AUC',
  '',
  ...tableLines(({ auc }) => auc, aucText),
  ''
]
const byColumn = (): string[] => [
  '# What each column adds',
  '',
  setting,
  'Change in each figure without one column. A minus means that the column helps. Sorted by the change in mean recall.',
  caution,
  '',
  `${runLine(run)}.`,
  '',
  ...table(
    ['without', 'mean recall at 1 % FPR', 'mean AUC', 'largest recall loss', 'largest recall gain'],
    compared
      .slice(1)
      .map(({ name }, i) => {
        const recalls = cells
          .map((row, a) => ({ attack: names[a], difference: row[i + 1].recall - row[0].recall }))
          .sort((a, b) => a.difference - b.difference)
        const [lost, won] = [recalls[0], recalls[recalls.length - 1]]
        return {
          mean: mean(recalls.map(({ difference }) => difference)),
          row: [
            name,
            difference(mean(recalls.map(({ difference }) => difference))),
            difference(mean(cells.map(row => row[i + 1].auc - row[0].auc))),
            `${lost.attack} ${difference(Math.min(0, lost.difference))}`,
            `${won.attack} ${difference(Math.max(0, won.difference))}`
          ]
        }
      })
      .sort((a, b) => a.mean - b.mean)
      .map(({ row }) => row)
  ),
  ''
]
const text = (options.each ? byColumn() : byGroup()).join('\n')
await mkdir(dirname(out), { recursive: true })
await writeFile(out, text)
await writeResults(out.replace(/(\.md)?$/, '.json'), {
  run,
  captures: [...benign, ...tested].map(({ name }) => name),
  choices: compared,
  attacks: names.map((attack, i) => ({ attack, cells: cells[i] }))
})
process.stdout.write(text)

/** Formats a difference with its sign; 0 if it rounds to zero. */
function difference(value: number): string {
  const shown = value.toFixed(3)
  return /^-?0\.000$/.test(shown) ? '0' : value > 0 ? `+${shown}` : shown
}
