// Compares the default with other detectors on the same records, columns and captures.

import { join } from 'node:path'
import { catalogEntry, DETECTOR_KINDS, DetectorError, type DetectorKind } from '../../models/index.js'
import { OperatorError } from '../../src/errors.js'
import type { TrafficRecord } from '../../src/record.js'
import type { GuardModel } from '../../src/scoring/guard-model.js'
import { DEFAULTS } from '../../src/settings.js'
import { sampleEvenly, frameTable, scoreLabCapture, recordsOf } from './captures.js'
import { attackFigures, shortfall, targetOf, type Figures } from './figures.js'
import { storedCapture } from './lab-captures.js'
import { aucText, shareText, table } from './report.js'
import { runLine, type Run } from './run.js'
import { fitModel, parametersOf, TRAINING_RECORDS, type TrainingChoice } from './training.js'

/** A detector and its parameters. */
export interface DetectorChoice {
  detector: DetectorKind
  /** Parameters that differ from the detector's defaults. */
  parameters: Readonly<Record<string, number | string>>
}

/** Figures of one detector. */
export interface DetectorFigures extends DetectorChoice {
  /** Training time, seconds. */
  seconds: number
  /** Time to score a frame, without reading it, microseconds. */
  microseconds: number
  attacks: (Figures & { attack: string })[]
}

/** Result of the comparison. */
export interface Comparison {
  run: Run
  detectors: DetectorFigures[]
  leftOut: { detector: DetectorKind; reason: string }[]
}

/** Seed of the attack captures that a supervised detector trains on: a different household than the scored one. */
const LABELLED_SEED = 1

/**
 * Parses a list such as `kmeans,ocsvm:nu=0.1:maxSamples=500`, or `all`.
 *
 * @throws OperatorError for an unknown detector
 */
export function detectorsOf(list: string): DetectorChoice[] {
  const names = list === 'all' ? [...DETECTOR_KINDS] : list.split(',')
  return names.map(name => {
    const [kind, ...assignments] = name.split(':')
    const detector = DETECTOR_KINDS.find(known => known === kind)
    if (detector === undefined)
      throw new OperatorError('bench-detector', `Unknown detector "${kind}": use one of ${DETECTOR_KINDS.join(', ')}.`)
    const given = assignments.map(assignment => {
      const [parameter, value] = assignment.split('=')
      return [parameter, Number.isNaN(Number(value)) ? value : Number(value)] as const
    })
    return { detector, parameters: { ...parametersOf(detector), ...Object.fromEntries(given) } }
  })
}

/** Trains each detector and scores the captures with all of them. */
export async function compareDetectors(
  chosen: readonly DetectorChoice[],
  benign: readonly TrafficRecord[],
  folder: string,
  attacks: readonly string[],
  seed: number,
  print: (text: string) => void
): Promise<Omit<Comparison, 'run'>> {
  const leftOut: Comparison['leftOut'] = []
  const detectors: DetectorFigures[] = []
  const models: GuardModel[] = []
  for (const choice of chosen) {
    const { detector } = choice
    print(`training ${nameOf(choice)}`)
    const startedAt = performance.now()
    const fitted = await fitOrReason(choice, benign, folder, attacks)
    if (typeof fitted === 'string') {
      print(`skipping ${detector}: ${fitted}`)
      leftOut.push({ detector, reason: fitted })
      continue
    }
    models.push(fitted)
    detectors.push({ ...choice, seconds: (performance.now() - startedAt) / 1_000, microseconds: 0, attacks: [] })
  }
  let frames = 0
  for (const attack of attacks) {
    print(`scoring ${attack}`)
    const { models: judged, ...labels } = await scoreLabCapture(folder, `${attack}-s${seed}`, models)
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

/** Returns the name of a choice for tables. */
function nameOf({ detector, parameters }: DetectorChoice): string {
  const given = Object.entries(parameters)
  const isDefault =
    detector === DEFAULTS.detector.kind && JSON.stringify(parameters) === JSON.stringify(parametersOf(detector))
  return isDefault ? `${detector} (default)` : [detector, ...given.map(([name, value]) => `${name}=${value}`)].join(' ')
}

/** Returns a model, or the reason why it cannot be trained. */
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
    if ((await storedCapture(folder, `${attack}-s${LABELLED_SEED}`)) !== undefined)
      names.push(`${attack}-s${LABELLED_SEED}`)
  if (names.length === 0)
    return `it needs labelled attacks, and the folder has none of seed ${LABELLED_SEED} (run: npm run lab -- --attack all --seed ${LABELLED_SEED} --out DIR)`
  // Half of the training records come from these captures, benign frames included.
  const records = [...sampleEvenly(benign, TRAINING_RECORDS / 2)]
  const labels = records.map(() => 0)
  for (const name of names) {
    const table = await frameTable(join(folder, `${name}.labels.csv`))
    for (const record of sampleEvenly(
      await recordsOf([join(folder, `${name}.pcap`)]),
      Math.floor(TRAINING_RECORDS / 2 / names.length)
    )) {
      records.push(record)
      labels.push(Number((table.get(record.frame ?? 0) ?? '0') !== '0'))
    }
  }
  return await fitModel(records, { ...trainingOf(choice), labels })
}

/** Formats the comparison in Markdown. */
export function comparisonReport(
  { run, detectors, leftOut }: Comparison,
  captures: readonly string[],
  taken: number
): string {
  const attacks = detectors[0]?.attacks.map(({ attack }) => attack) ?? []
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  return [
    '# The default compared with other detectors',
    '',
    `Preset \`${DEFAULTS.detector.features}\`, each detector trained on the same ${taken} frames of ${captures.join(', ')}; a supervised detector on as many, half from labelled attacks on`,
    "another household. Parameters that are not listed are the detector's defaults, or the shipped ones for the default. Scored on the captures of `detection.md`.",
    '',
    `${runLine(run)} in total.`,
    '',
    ...table(
      [
        'detector',
        'targets reached',
        'mean AUC',
        'lowest AUC',
        'mean recall at 1 % FPR',
        'lowest recall',
        'training, s',
        'scoring, µs per frame'
      ],
      detectors.map(({ seconds, microseconds, attacks: figures, ...choice }) => [
        nameOf(choice),
        `${figures.filter(each => shortfall(each, targetOf(each.attack)) === 'reached').length} of ${figures.length}`,
        aucText(mean(figures.map(({ auc }) => auc))),
        aucText(Math.min(...figures.map(({ auc }) => auc))),
        shareText(mean(figures.map(({ recall }) => recall))),
        shareText(Math.min(...figures.map(({ recall }) => recall))),
        seconds.toFixed(1),
        microseconds.toFixed(1)
      ])
    ),
    '',
    ...leftOut.flatMap(({ detector, reason }) => [`Skipped ${detector}: ${reason}.`, '']),
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
