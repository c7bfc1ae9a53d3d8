// What is learnt for the figures: the broker's default, or another detector on the same records and columns.

import type { DetectorKind } from '../../models/index.js'
import { Calibration } from '../../src/alert/calibration.js'
import type { TrafficRecord } from '../../src/record.js'
import { GuardModel } from '../../src/scoring/guard-model.js'
import { DEFAULTS, detectionSettings, SHIPPED_PARAMETERS } from '../../src/settings.js'
import { evenly } from './captures.js'

/** Records that are learnt from at most, evenly over all there are. */
export const TRAINING_RECORDS = 40_000

/** What may differ from the default. */
export interface TrainingChoice {
  kind?: DetectorKind
  /** Of the detector; those of {@link parametersOf} unless given. */
  parameters?: Readonly<Record<string, number | string>>
  /** A preset or a list of features parted by commas. */
  features?: string
  /** At most so many records. */
  records?: number
  /** One for each record, 1 = attack; where the detector is supervised. */
  labels?: readonly number[]
}

/** Parameters that a detector learns with: those that it is shipped with, else its own. */
export function parametersOf(kind: DetectorKind): Readonly<Record<string, number>> {
  return SHIPPED_PARAMETERS[kind] ?? {}
}

/** Fits a model on some of the records. */
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
    evenly(records, most),
    { kind, contamination, seed, features, parameters },
    {
      ...(labels !== undefined && { labels: evenly(labels, most) })
    }
  )
}

/** The same model with limits for its alerts, learnt from all of the records: a sample would be slower traffic. */
export function withLimits(model: GuardModel, records: readonly TrafficRecord[]): GuardModel {
  const { batch, smoothing } = detectionSettings({})
  const calibration = new Calibration(smoothing)
  calibration.learn(records, model.judge(records), batch)
  return model.withBaselines(calibration.baselines())
}
