// Trains the models for the figures: the broker's default, or another detector on the same records and columns.

import type { DetectorKind } from '../../models/index.js'
import { Calibration } from '../../src/alert/calibration.js'
import type { TrafficRecord } from '../../src/record.js'
import { GuardModel } from '../../src/scoring/guard-model.js'
import { DEFAULTS, detectionSettings, SHIPPED_PARAMETERS } from '../../src/settings.js'
import { sampleEvenly } from './captures.js'

/** Maximum number of training records, sampled evenly. */
export const TRAINING_RECORDS = 40_000

/** Options that override the default. */
export interface TrainingChoice {
  kind?: DetectorKind
  /**
   * Detector parameters.
   *
   * @default the result of {@link parametersOf}
   */
  parameters?: Readonly<Record<string, number | string>>
  /** A preset or a comma-separated list of features. */
  features?: string
  /** Maximum number of training records. */
  records?: number
  /** One label per record, 1 = attack; for a supervised detector. */
  labels?: readonly number[]
}

/** Returns the shipped parameters of a detector, or none to use its defaults. */
export function parametersOf(kind: DetectorKind): Readonly<Record<string, number>> {
  return SHIPPED_PARAMETERS[kind] ?? {}
}

/** Trains a model on a sample of the records. */
export async function fitModel(records: readonly TrafficRecord[], choice: TrainingChoice = {}): Promise<GuardModel> {
  const {
    kind = DEFAULTS.detector.kind,
    parameters = parametersOf(kind),
    features = DEFAULTS.detector.features,
    records: most = TRAINING_RECORDS,
    labels
  } = choice
  const { contamination, seed } = DEFAULTS.detector
  return await GuardModel.fit(
    sampleEvenly(records, most),
    { kind, contamination, seed, features, parameters },
    {
      ...(labels !== undefined && { labels: sampleEvenly(labels, most) })
    }
  )
}

/** Returns the model with alert limits, calibrated on all records: a sample would have a lower message rate. */
export function withLimits(model: GuardModel, records: readonly TrafficRecord[]): GuardModel {
  const { batch, smoothing } = detectionSettings({})
  const calibration = new Calibration(smoothing)
  calibration.learn(records, model.score(records), batch)
  return model.withBaselines(calibration.baselines())
}
