// The default beside the other detectors: same records, same columns, same captures.

import { join } from 'node:path'
import { catalogEntry, DETECTOR_KINDS, DetectorError, type DetectorKind } from '../../models/index.js'
import { OperatorError } from '../../src/errors.js'
import type { TrafficRecord } from '../../src/record.js'
import type { GuardModel } from '../../src/scoring/guard-model.js'
import { DEFAULTS } from '../../src/settings.js'
import { evenly, frameTable, judgeLab, recordsOf } from './captures.js'
import { attackFigures, distance, wantedOf, type Figures } from './figures.js'
import { keptCapture } from './lab-captures.js'
import { aucText, shareText, table } from './report.js'
import { runLine, type Run } from './run.js'
import { fitModel, parametersOf, TRAINING_RECORDS, type TrainingChoice } from './training.js'

/** A detector and what it is told. */
export interface DetectorChoice {
  detector: DetectorKind
  /** Those that differ from its defaults. */
  parameters: Readonly<Record<string, number | string>>
}

/** One detector's figures. */
export interface DetectorFigures extends DetectorChoice {
  /** Seconds of learning. */
  seconds: number
  /** Processor time of judging a frame, without reading it, microseconds. */
  microseconds: number
  attacks: (Figures & { attack: string })[]
}

/** What came of the comparison. */
export interface Comparison {
  run: Run
  detectors: DetectorFigures[]
  leftOut: { detector: DetectorKind; reason: string }[]
}

/** Captures of attacks that a supervised detector may learn from: another household than the one that is judged. */
const LABELLED_SEED = 1

/**
 * The detectors of a list such as `kmeans,ocsvm:nu=0.1:maxSamples=500`, or of `all`.
 * @throws OperatorError for a name that is none
 */
export function detectorsOf(list: string): DetectorChoice[] {
  const names = list === 'all' ? [...DETECTOR_KINDS] : list.split(',')
  return names.map(name => {
    const [kind, ...assignments] = name.split(':')
    const detector = DETECTOR_KINDS.find(known => known === kind)
    if (detector === undefined)
      throw new OperatorError(
        'bench-detector',
        `there is no detector "${kind}"; there are ${DETECTOR_KINDS.join(', ')}`
      )
    const given = assignments.map(assignment => {
      const [parameter, value] = assignment.split('=')
      return [parameter, Number.isNaN(Number(value)) ? value : Number(value)] as const
    })
    return { detector, parameters: { ...parametersOf(detector), ...Object.fromEntries(given) } }
  })
}

/** Trains each detector and judges the captures with all of them. */
export async function compareDetectors(
  chosen: readonly DetectorChoice[],
  benign: readonly TrafficRecord[],
  folder: string,
  attacks: readonly string[],
  seed: number,
  say: (text: string) => void
): Promise<Omit<Comparison, 'run'>> {
  const leftOut: Comparison['leftOut'] = []
  const detectors: DetectorFigures[] = []
  const models: GuardModel[] = []
  for (const choice of chosen) {
    const { detector } = choice
    say(`${nameOf(choice)} learns`)
    const begun = performance.now()
    const fitted = await fitOrReason(choice, benign, folder, attacks)
    if (typeof fitted === 'string') {
      say(`${detector} is left out: ${fitted}`)
      leftOut.push({ detector, reason: fitted })
      continue
    }
    models.push(fitted)
    detectors.push({ ...choice, seconds: (performance.now() - begun) / 1_000, microseconds: 0, attacks: [] })
  }
  let frames = 0
  for (const attack of attacks) {
    say(`judging ${attack}`)
    const { models: judged, ...labels } = await judgeLab(folder, `${attack}-s${seed}`, models)
    frames += labels.attack.length
    judged.forEach(({ scores, seconds }, m) => {
      const { frames, auc, recall } = attackFigures(attack, labels, scores)
      detectors[m].attacks.push({ attack, frames, auc, recall })
      detectors[m].microseconds += seconds * 1e6
    })
  }
  for (const each of detectors) each.microseconds /= frames
  return { detectors, leftOut }
}

function trainingOf({ detector, parameters }: DetectorChoice): TrainingChoice {
  return { kind: detector, parameters }
}

/** As a table names it. */
function nameOf({ detector, parameters }: DetectorChoice): string {
  const given = Object.entries(parameters)
  const isDefault =
    detector === DEFAULTS.detector.kind && JSON.stringify(parameters) === JSON.stringify(parametersOf(detector))
  return isDefault ? `${detector} (default)` : [detector, ...given.map(([name, value]) => `${name}=${value}`)].join(' ')
}

/** A model, or why there is none. */
async function fitOrReason(
  choice: DetectorChoice,
  benign: readonly TrafficRecord[],
  folder: string,
  attacks: readonly string[]
): Promise<GuardModel | string> {
  const { prepare, supervised } = catalogEntry(choice.detector)
  try {
    await prepare?.()
    return supervised ? await fitLabelled(choice, benign, folder, attacks) : await fitModel(benign, trainingOf(choice))
  } catch (error) {
    if (error instanceof DetectorError || error instanceof OperatorError) return error.message
    throw error
  }
}

async function fitLabelled(
  choice: DetectorChoice,
  benign: readonly TrafficRecord[],
  folder: string,
  attacks: readonly string[]
): Promise<GuardModel | string> {
  const names: string[] = []
  for (const attack of attacks)
    if ((await keptCapture(folder, `${attack}-s${LABELLED_SEED}`)) !== undefined)
      names.push(`${attack}-s${LABELLED_SEED}`)
  if (names.length === 0)
    return `it learns from labelled attacks, and the folder holds none of seed ${LABELLED_SEED} (npm run lab -- --attack all --seed ${LABELLED_SEED} --out DIR)`
  // Half of what it learns from is of these captures, benign frames included.
  const records = [...evenly(benign, TRAINING_RECORDS / 2)]
  const labels = records.map(() => 0)
  for (const name of names) {
    const table = await frameTable(join(folder, `${name}.labels.csv`))
    for (const record of evenly(
      await recordsOf([join(folder, `${name}.pcap`)]),
      Math.floor(TRAINING_RECORDS / 2 / names.length)
    )) {
      records.push(record)
      labels.push(Number((table.get(record.frame ?? 0) ?? '0') !== '0'))
    }
  }
  return await fitModel(records, { ...trainingOf(choice), labels })
}

/** The comparison as a page. */
export function comparisonReport(
  { run, detectors, leftOut }: Comparison,
  captures: readonly string[],
  taken: number
): string {
  const attacks = detectors[0]?.attacks.map(({ attack }) => attack) ?? []
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  return [
    '# The default beside the other detectors',
    '',
    `Preset \`${DEFAULTS.detector.features}\`, each trained on the same ${taken} frames of ${captures.join(', ')}; a supervised one on as many of these and of labelled attacks on`,
    "yet another household. Parameters that are not named are the detector's own, or those that the default is shipped with. Judged on the captures of `detection.md`.",
    '',
    `${runLine(run)} in all.`,
    '',
    ...table(
      [
        'detector',
        'targets reached',
        'mean AUC',
        'lowest AUC',
        'mean recall at 1 % FPR',
        'lowest recall',
        'learning, s',
        'judging, µs a frame'
      ],
      detectors.map(({ seconds, microseconds, attacks: figures, ...choice }) => [
        nameOf(choice),
        `${figures.filter(each => distance(each, wantedOf(each.attack)) === 'reached').length} of ${figures.length}`,
        aucText(mean(figures.map(({ auc }) => auc))),
        aucText(Math.min(...figures.map(({ auc }) => auc))),
        shareText(mean(figures.map(({ recall }) => recall))),
        shareText(Math.min(...figures.map(({ recall }) => recall))),
        seconds.toFixed(1),
        microseconds.toFixed(1)
      ])
    ),
    '',
    ...leftOut.flatMap(({ detector, reason }) => [`${detector} is left out: ${reason}.`, '']),
    'ROC AUC / recall at 1 % false positives:',
    '',
    ...table(
      ['attack', ...detectors.map(nameOf)],
      attacks.map((attack, i) => [
        attack,
        ...detectors.map(({ attacks: figures }) => `${aucText(figures[i].auc)} / ${shareText(figures[i].recall)}`)
      ])
    ),
    ''
  ].join('\n')
}
