// The options of `train` that select the detector and its parameters.

import {
  catalogEntry,
  createDetector,
  DETECTOR_KINDS,
  DetectorError,
  isDetectorKind,
  type DetectorKind,
  type Parameter
} from '../../models/index.js'
import { OperatorError } from '../../src/errors.js'
import { columnsOf } from '../../src/features/columns.js'
import type { TrainingPlan } from '../../src/training/offline-training.js'
import { PAPER_SETTINGS, type NamedSettings } from '../../src/scoring/paper.js'
import { DEFAULTS, detectionSettings, SHIPPED_PARAMETERS } from '../../src/settings.js'
import { nearest } from '../config/suggestion.js'
import { printable } from '../terminal/printable.js'

/** Name of the broker's default detector. */
const DEFAULT_NAME = 'default'
/** Columns of the other detectors. */
const TABLE_1 = 'table1-no-identity'

/** Values of `--preset`. */
export const NAMED_SETTINGS = ['paper'] as const

/** The options, parsed individually. */
export interface DetectorFlags {
  detector: string
  preset?: (typeof NAMED_SETTINGS)[number]
  features?: string
  /** Each `name=value`. */
  param?: string[]
  seed?: number
  contamination?: number
  contaminated?: true
}

/** Parameters that have their own option. */
const OWN_OPTIONS = ['contamination', 'seed']

/**
 * Returns the training plan of the options. Options override named settings, which override the defaults.
 *
 * @throws OperatorError `train-detector`, `train-preset`, `train-param`, `features-unknown`, `features-none`
 */
export function planOf(flags: DetectorFlags): TrainingPlan {
  const kind = kindOf(flags.detector)
  const base = flags.preset === undefined ? defaultsOf(flags.detector, kind) : paperSettingsOf(kind)
  const contaminated = flags.contaminated ?? base.contaminated
  const parameters = {
    ...base.parameters,
    // Training data with attacks: the smaller cluster is taken for the attacks.
    ...(contaminated && 'score' in catalogEntry(kind).parameters && { score: 'cluster' }),
    ...parametersOf(kind, flags.param ?? [])
  }
  const features = flags.features ?? base.features
  for (const variant of ['wire', 'broker'] as const) columnsOf(features, variant)
  const detector = {
    kind,
    features,
    parameters,
    contamination: flags.contamination ?? base.contamination,
    seed: flags.seed ?? DEFAULTS.detector.seed
  }
  const { contamination, seed } = detector
  checkRanges(kind, { ...parameters, contamination, seed })
  const { batch, smoothing } = detectionSettings({})
  return { detector, contaminated, batch, smoothing }
}

/** Lists the parameters of each detector for the help text. */
export function parametersHelp(): string {
  const detectors = DETECTOR_KINDS.map(
    kind =>
      `  ${kind}\n${parameterLines(kind)
        .map(line => `    ${line}`)
        .join('\n')}`
  )
  return `\nParameters (--param name=value) of each detector:\n${detectors.join('\n')}`
}

function kindOf(name: string): DetectorKind {
  if (name === DEFAULT_NAME) return DEFAULTS.detector.kind
  if (isDetectorKind(name)) return name
  const known = [...DETECTOR_KINDS, DEFAULT_NAME]
  const meant = nearest(name, known)
  throw new OperatorError(
    'train-detector',
    `--detector: unknown detector ${printable(JSON.stringify(name))}`,
    `${meant === undefined ? '' : `Did you mean ${meant}? `}Choose one of ${known.join(', ')}.`
  )
}

function defaultsOf(name: string, kind: DetectorKind): NamedSettings {
  const { contamination, features } = DEFAULTS.detector
  return {
    features: name === DEFAULT_NAME ? features : TABLE_1,
    contamination: name === DEFAULT_NAME ? contamination : Number(catalogEntry(kind).parameters.contamination.default),
    contaminated: false,
    parameters: name === DEFAULT_NAME ? { ...SHIPPED_PARAMETERS[kind] } : {}
  }
}

function paperSettingsOf(kind: DetectorKind): NamedSettings {
  const settings = PAPER_SETTINGS[kind]
  if (settings !== undefined) return settings
  throw new OperatorError(
    'train-preset',
    `--preset: paper has no settings for ${kind}`,
    `It has settings for ${Object.keys(PAPER_SETTINGS).join(', ')}.`
  )
}

function parametersOf(kind: DetectorKind, assignments: readonly string[]): Record<string, number | string> {
  return Object.fromEntries(
    assignments.map(assignment => {
      const match = /^([^=]*)=(.*)$/s.exec(assignment)
      if (match === null) throw paramError(kind, `${shown(assignment)} is not of the form name=value`)
      const [, name, text] = match
      if (OWN_OPTIONS.includes(name)) throw paramError(kind, `set ${name} with --${name}`)
      const parameter = ownParameters(kind).find(([known]) => known === name)?.[1]
      if (parameter === undefined) {
        const meant = nearest(
          name,
          ownParameters(kind).map(([known]) => known)
        )
        throw paramError(
          kind,
          `${kind} has no parameter ${shown(name)}${meant === undefined ? '' : `; did you mean ${meant}?`}`
        )
      }
      return [name, parameter.choices?.includes(text) !== true && isNumber(text) ? Number(text) : text]
    })
  )
}

function checkRanges(kind: DetectorKind, parameters: Record<string, number | string>): void {
  try {
    createDetector(kind, parameters)
  } catch (error) {
    if (!(error instanceof DetectorError)) throw error
    throw paramError(kind, error.message, error)
  }
}

function paramError(kind: DetectorKind, problem: string, cause?: unknown): OperatorError {
  return new OperatorError(
    'train-param',
    `--param: ${problem}`,
    `Parameters of ${kind}:\n    ${parameterLines(kind).join('\n    ')}`,
    { cause }
  )
}

function ownParameters(kind: DetectorKind): [string, Parameter][] {
  return Object.entries(catalogEntry(kind).parameters).filter(([name]) => !OWN_OPTIONS.includes(name))
}

function parameterLines(kind: DetectorKind): string[] {
  return ownParameters(kind).map(([name, { about, default: value, min, max, choices = [] }]) => {
    const values = min === undefined ? choices : [...choices, `${min} to ${max}`]
    return `${name}: ${about} (${values.join(', ')}; default ${value})`
  })
}

function isNumber(text: string): boolean {
  return text.trim() !== '' && Number.isFinite(Number(text))
}

function shown(text: string): string {
  return printable(JSON.stringify(text))
}
