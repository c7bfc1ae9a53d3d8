// All experts of a model: who judges which records, and the payloads among them.

import { columnsOf, isMessageColumn, type Variant } from '../features/columns.js'
import type { PayloadSample } from '../features/payload-sample.js'
import type { RecordFeatures } from '../features/schema.js'
import { catalogEntry, type FitProgress } from '../../models/index.js'
import { Expert, type DetectorPlan, type MessageExpert } from './expert.js'
import { Panel } from './panel.js'

/** The experts of a model. */
export interface Experts {
  /** Judges the frames of a tap. */
  wire?: Panel
  /** Judges packets wherever there is no tap. */
  broker: Panel
  /** Judges the payloads, each by itself. */
  messages?: MessageExpert
}

/** How to learn. */
export interface ExpertsPlan extends Omit<DetectorPlan, 'onProgress'> {
  /** A preset or a list of features parted by commas. */
  features: string
  /** One for each record, 1 = attack; only where the detector is supervised. */
  labels?: ArrayLike<number>
  onProgress?: (progress: FitProgress, variant: Variant) => void
}

/** With fewer payloads an expert on them would know only a moment. */
const FEWEST_PAYLOADS = 64

/**
 * Fits the experts. With columns of context payloads are learnt by themselves: what a client does says
 * nothing about what somebody else's message to it contains.
 *
 * @param frames the records that came from a tap; none where they are too few
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
  if (samples.length >= FEWEST_PAYLOADS)
    experts.messages = await Expert.fitMessages(samples, messageColumns, { ...rest, calibrated: true })
  return experts
}

/** Who judges records like this one; undefined where nobody can. */
export function panelFor({ wire, broker }: Experts, features: RecordFeatures, isFrame: boolean): Panel | undefined {
  if (isFrame && wire !== undefined) return wire
  return features.mqtt_msg_type === null ? undefined : broker
}

/** Raises each record's score to that of the worst of its payloads. */
export function withMessages(
  expert: MessageExpert,
  records: readonly RecordFeatures[],
  scores: Float64Array,
  heldOut: boolean
): void {
  const places: number[] = []
  const samples: PayloadSample[] = []
  records.forEach(({ context }, i) => {
    for (const sample of context?.payloads ?? []) {
      places.push(i)
      samples.push(sample)
    }
  })
  if (samples.length === 0) return
  const judged = expert.score(samples, heldOut)
  judged.scores.forEach((score, k) => {
    scores[places[k]] = Math.max(scores[places[k]], score)
  })
}

/** The payload of a record that is least usual. */
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
