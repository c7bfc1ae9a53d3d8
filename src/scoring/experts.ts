// The experts of a model, and which of them score a record and its payloads.

import { columnsOf, isMessageColumn, type Variant } from '../features/columns.js'
import type { PayloadSample } from '../features/payload-sample.js'
import type { RecordFeatures } from '../features/schema.js'
import { catalogEntry, type FitProgress } from '../../models/index.js'
import { Expert, type DetectorPlan, type MessageExpert } from './expert.js'
import { Panel } from './panel.js'

/** The experts of a model. */
export interface Experts {
  /** Scores frames of a tap. */
  wire?: Panel
  /** Scores packets without a tap. */
  broker: Panel
  /** Scores payloads, each separately. */
  messages?: MessageExpert
}

/** Options of training. */
export interface ExpertsPlan extends Omit<DetectorPlan, 'onProgress'> {
  /** A preset or a comma-separated list of features. */
  features: string
  /** One per record, 1 = attack. Only for supervised detectors. */
  labels?: ArrayLike<number>
  onProgress?: (progress: FitProgress, variant: Variant) => void
}

/** Fewer payloads cover too short a time to train on. */
const MINIMUM_PAYLOADS = 64

/**
 * Trains the experts. With context columns, payloads have their own expert: the behaviour of a client does not depend
 * on the content of messages that others send to it.
 *
 * @param frames indices of the records from a tap; empty if there are too few
 */
export async function fitExperts(
  all: readonly RecordFeatures[],
  frames: readonly number[],
  plan: ExpertsPlan
): Promise<Experts> {
  const { labels, onProgress, features, ...rest } = plan
  const isSupervised = catalogEntry(plan.detector).supervised
  const fit = async (variant: Variant, chosen: readonly number[]): Promise<Panel> =>
    await Panel.fit(
      chosen.map(i => all[i]),
      {
        ...rest,
        variant,
        columns: columnsOf(features, variant).filter(name => isSupervised || !isMessageColumn(name)),
        ...(onProgress !== undefined && {
          onProgress: progress => {
            onProgress(progress, variant)
          }
        }),
        ...(labels !== undefined && { labels: Uint8Array.from(chosen, i => labels[i]) })
      }
    )
  const experts: Experts = {
    broker: await fit(
      'broker',
      [...all.keys()].filter(i => all[i].mqtt_msg_type !== null)
    )
  }
  if (frames.length > 0) experts.wire = await fit('wire', frames)
  const messageColumns = columnsOf(features, 'broker').filter(isMessageColumn)
  if (isSupervised || messageColumns.length === 0) return experts
  const samples = all.flatMap(({ context }) => context?.payloads ?? [])
  if (samples.length >= MINIMUM_PAYLOADS)
    experts.messages = await Expert.fitMessages(samples, messageColumns, { ...rest, calibrated: true })
  return experts
}

/** Returns the panel that scores such records; undefined if none can. */
export function panelFor({ wire, broker }: Experts, features: RecordFeatures, isFrame: boolean): Panel | undefined {
  if (isFrame && wire !== undefined) return wire
  return features.mqtt_msg_type === null ? undefined : broker
}

/** Raises each record's score to the highest score of its payloads. */
export function applyMessageScores(
  expert: MessageExpert,
  records: readonly RecordFeatures[],
  scores: Float64Array,
  heldOut: boolean
): void {
  const indices: number[] = []
  const samples: PayloadSample[] = []
  records.forEach(({ context }, i) => {
    for (const sample of context?.payloads ?? []) {
      indices.push(i)
      samples.push(sample)
    }
  })
  if (samples.length === 0) return
  const scored = expert.score(samples, heldOut)
  scored.scores.forEach((score, k) => {
    scores[indices[k]] = Math.max(scores[indices[k]], score)
  })
}

/** Returns the most abnormal payload of a record. */
export function worstMessage(
  expert: MessageExpert,
  { context }: RecordFeatures
): { sample: PayloadSample; score: number } | undefined {
  const samples = context?.payloads ?? []
  if (samples.length === 0) return undefined
  const { scores } = expert.score(samples)
  const worst = scores.indexOf(Math.max(...scores))
  return { sample: samples[worst], score: scores[worst] }
}
