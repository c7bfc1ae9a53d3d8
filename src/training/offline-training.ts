// Trains a model from existing records, with or without labels, and evaluates it.

import { catalogEntry, evaluate, type FitProgress } from '../../models/index.js'
import type { BatchLimits } from '../alert/batches.js'
import { Calibration } from '../alert/calibration.js'
import type { SmoothingSettings } from '../alert/smoothing.js'
import { OperatorError } from '../errors.js'
import type { Variant } from '../features/columns.js'
import { bestFeatures } from '../features/selection.js'
import type { TrafficRecord } from '../record.js'
import { GuardModel, type DetectorSettings } from '../scoring/guard-model.js'
import type { Json } from '../scoring/model-file.js'
import { SurpriseMemory } from '../scoring/surprise-memory.js'

/** What to learn, and how. */
export interface TrainingPlan {
  detector: DetectorSettings
  /** Learn from attacks too, without their labels. A supervised detector always uses all records. */
  contaminated: boolean
  batch: BatchLimits
  smoothing: SmoothingSettings
}

/** Progress and abort hooks. */
export interface TrainingHooks {
  onProgress?: (progress: FitProgress, variant: Variant) => void
  signal?: AbortSignal
}

/** Records scored per turn of the event loop. */
const TURN_RECORDS = 1_000

/**
 * Fits a model and learns the alert limits from the benign training records.
 *
 * Without labels, all records count as benign, unless the plan is `contaminated`. With labels, an unsupervised detector
 * learns from the benign records only, unless the plan is `contaminated`. The attacks are then used for the model's
 * metrics.
 *
 * @param records in time order, copied from the source
 * @param labels one per record: an attack name, or null; undefined if unknown
 * @throws OperatorError if the records, labels or settings are not suitable
 */
export async function trainModel(
  records: readonly TrafficRecord[],
  labels: readonly (string | null)[] | undefined,
  plan: TrainingPlan,
  hooks: TrainingHooks = {}
): Promise<GuardModel> {
  const { supervised } = catalogEntry(plan.detector.kind)
  const isAttack = Uint8Array.from(records, (_, i) => Number((labels?.[i] ?? null) !== null))
  const all = [...records.keys()]
  const learnt = supervised || plan.contaminated ? all : all.filter(i => isAttack[i] === 0)
  const learntRecords = learnt.map(i => records[i])
  const learntLabels = Uint8Array.from(learnt, i => isAttack[i])
  checkRecords(records, learntRecords, supervised ? learntLabels : undefined, plan)
  const bothKinds = isAttack.includes(1) && isAttack.includes(0)
  const settings =
    plan.detector.features === 'best24' && bothKinds
      ? {
          ...plan.detector,
          features: bestFeatures(
            records.map(({ features }) => features),
            isAttack
          ).join()
        }
      : plan.detector
  const model = await GuardModel.fit(learntRecords, settings, {
    ...hooks,
    created: new Date(),
    ...(supervised && { labels: learntLabels })
  })
  const { scores: learntScores, probabilities, ownProbabilities } = model.scoreTraining(learntRecords)

  const calibration = new Calibration(plan.smoothing)
  const benign = [...learnt.keys()].filter(k => learntLabels[k] === 0)
  const ofBenign = (all: Float64Array): Float64Array => Float64Array.from(benign, k => all[k])
  calibration.learn(
    benign.map(k => learntRecords[k]),
    { probabilities: ofBenign(probabilities), ownProbabilities: ofBenign(ownProbabilities) },
    plan.batch
  )
  if (labels === undefined || !bothKinds) return model.withBaselines(calibration.baselines())

  const scores = new Float64Array(records.length).fill(NaN)
  learnt.forEach((i, k) => {
    scores[i] = learntScores[k]
  })
  const isLearnt = new Set(learnt)
  await scoreOthers(
    model,
    records,
    all.filter(i => !isLearnt.has(i)),
    scores,
    hooks.signal
  )
  return model.withBaselines(calibration.baselines(), metricsOf(model, labels, scores))
}

function checkRecords(
  records: readonly TrafficRecord[],
  learnt: readonly TrafficRecord[],
  labels: Uint8Array | undefined,
  { detector }: TrainingPlan
): void {
  if (records.length === 0) {
    throw new OperatorError(
      'training-data',
      'no records to learn from',
      'Check that the files contain MQTT traffic, and set its ports with --mqtt-port.'
    )
  }
  if (learnt.length === 0) {
    throw new OperatorError(
      'training-labels',
      `all ${records.length} records are labelled as attacks, but ${detector.kind} learns from benign records`,
      'Add benign traffic, or use --contaminated to learn from attacks too.'
    )
  }
  const packets = [...learnt.keys()].filter(i => learnt[i].features.mqtt_msg_type !== null)
  if (packets.length === 0) {
    throw new OperatorError(
      'training-data',
      `none of the ${learnt.length} records has an MQTT packet`,
      'Traffic inside TLS cannot be decoded from a capture. Set other ports with --mqtt-port.'
    )
  }
  if (labels !== undefined && new Set(packets.map(i => labels[i])).size < 2) {
    const kind = labels[packets[0]] === 1 ? 'an attack' : 'benign'
    throw new OperatorError(
      'training-labels',
      `${detector.kind} needs attacks and benign records, but all records with an MQTT packet are labelled ${kind}`,
      'Use files and labels with both.'
    )
  }
}

/** Scores the records outside the training data, in turns of the event loop. */
async function scoreOthers(
  model: GuardModel,
  records: readonly TrafficRecord[],
  others: readonly number[],
  scores: Float64Array,
  signal: AbortSignal | undefined
): Promise<void> {
  const memory = new SurpriseMemory()
  for (let start = 0; start < others.length; start += TURN_RECORDS) {
    const chunk = others.slice(start, start + TURN_RECORDS)
    model
      .score(
        chunk.map(i => records[i]),
        memory
      )
      .scores.forEach((score, k) => {
        scores[chunk[k]] = score
      })
    await new Promise(resolve => setImmediate(resolve))
    signal?.throwIfAborted()
  }
}

/** Evaluates the model on the labelled records, without those that it cannot score. */
function metricsOf(model: GuardModel, labels: readonly (string | null)[], scores: Float64Array): Json {
  const scored = [...scores.keys()].filter(i => !Number.isNaN(scores[i]))
  const evaluation = evaluate(
    scored.map(i => labels[i]),
    scored.map(i => scores[i]),
    model.threshold
  )
  // NaN becomes null, as in the output of `evaluate`.
  return JSON.parse(JSON.stringify(evaluation)) as Json
}
