// From records at hand, with or without labels, to a model that guards and knows its figures.

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
  /** Learn from attacks as well, without being told which they are; a supervised detector always sees all. */
  contaminated: boolean
  batch: BatchLimits
  smoothing: SmoothingSettings
}

/** How a training run is watched and ended. */
export interface TrainingHooks {
  onProgress?: (progress: FitProgress, variant: Variant) => void
  signal?: AbortSignal
}

/** Records scored between two turns of the event loop. */
const TURN_RECORDS = 1_000

/**
 * Fits a model, and learns the limits of the alerts from the benign records among those it was fitted on.
 *
 * Without labels every record is taken for benign, unless the plan says `contaminated`. With labels, a
 * detector that needs none learns from the benign records alone, unless the plan says so too; the
 * attacks then serve the figures that the model keeps.
 *
 * @param records in the order of their time, copies of what was read
 * @param labels one for each record: an attack's name, or null; undefined where nothing is known
 * @throws OperatorError where records, labels or settings do not serve
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
  const { scores: learntScores, probabilities, ownProbabilities } = model.judgeTraining(learntRecords)

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
  return model.withBaselines(calibration.baselines(), figures(model, labels, scores))
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
      'there are no records to learn from',
      'Check that the files hold MQTT traffic, and its ports with --mqtt-port.'
    )
  }
  if (learnt.length === 0) {
    throw new OperatorError(
      'training-labels',
      `all ${records.length} records are labelled as attacks, and ${detector.kind} learns from benign ones`,
      'Add benign traffic, or say --contaminated to learn from attacks too.'
    )
  }
  const packets = [...learnt.keys()].filter(i => learnt[i].features.mqtt_msg_type !== null)
  if (packets.length === 0) {
    throw new OperatorError(
      'training-data',
      `none of the ${learnt.length} records carries an MQTT packet`,
      'Traffic inside TLS cannot be read from a capture; other ports are named with --mqtt-port.'
    )
  }
  if (labels !== undefined && new Set(packets.map(i => labels[i])).size < 2) {
    const kind = labels[packets[0]] === 1 ? 'an attack' : 'benign'
    throw new OperatorError(
      'training-labels',
      `${detector.kind} learns from attacks and benign records, and every record with an MQTT packet is labelled ${kind}`,
      'Name files and labels that hold both.'
    )
  }
}

/** Scores the records that were not learnt from, some at a time. */
async function scoreOthers(
  model: GuardModel,
  records: readonly TrafficRecord[],
  others: readonly number[],
  scores: Float64Array,
  signal: AbortSignal | undefined
): Promise<void> {
  const memory = new SurpriseMemory()
  for (let start = 0; start < others.length; start += TURN_RECORDS) {
    const chosen = others.slice(start, start + TURN_RECORDS)
    model
      .judge(
        chosen.map(i => records[i]),
        memory
      )
      .scores.forEach((score, k) => {
        scores[chosen[k]] = score
      })
    await new Promise(resolve => setImmediate(resolve))
    signal?.throwIfAborted()
  }
}

/** How well the model tells the labelled records apart; those that it cannot judge are left out. */
function figures(model: GuardModel, labels: readonly (string | null)[], scores: Float64Array): Json {
  const judged = [...scores.keys()].filter(i => !Number.isNaN(scores[i]))
  const evaluation = evaluate(
    judged.map(i => labels[i]),
    judged.map(i => scores[i]),
    model.threshold
  )
  // NaN becomes null, as in the output of `evaluate`.
  return JSON.parse(JSON.stringify(evaluation)) as Json
}
