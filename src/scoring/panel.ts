// Several experts that judge together: frames with and without payload apart, and the payloads by themselves.

import { catalogEntry, type FitProgress } from '../../models/index.js'
import { columnsOf, isMessageColumn, needsContext, type Variant } from '../features/columns.js'
import type { PayloadSample } from '../features/payload-sample.js'
import type { RecordFeatures } from '../features/schema.js'
import { Expert, type DetectorPlan, type MessageExpert, type Scored } from './expert.js'

/** The experts of a model. Where `carriers` is missing, the first two judge all their records. */
export interface Experts {
  /** Judges the frames of a tap; with carriers, those without an application payload. */
  wire?: Expert
  /** Judges packets wherever there is no tap; with carriers, those without an application payload. */
  broker: Expert
  /** Judge frames and packets with an application payload, the payload itself apart. */
  carriers?: { wire?: Expert, broker: Expert }
  /** Judges the payloads, each by itself. */
  messages?: MessageExpert
}

/** How to learn. */
export interface PanelPlan extends Omit<DetectorPlan, 'onProgress'> {
  /** A preset or a list of features parted by commas. */
  features: string
  /** One for each record, 1 = attack; only where the detector is supervised. */
  labels?: ArrayLike<number>
  onProgress?: (progress: FitProgress, variant: Variant) => void
}

/** With fewer records of a kind an expert on them would know only a moment. */
const FEWEST_RECORDS = 64

/**
 * Fits the experts.
 *
 * A model of Table I alone has one for frames and one for packets, as the paper has. With columns of
 * context, records with and without an application payload are learnt apart, and payloads by
 * themselves: what a client does says nothing about what somebody else's message to it contains, and
 * in one distance over all columns the few that know payloads would count for little.
 *
 * @param frames the records that came from a tap; none where they are too few
 */
export async function fitExperts (all: readonly RecordFeatures[], frames: readonly number[], plan: PanelPlan): Promise<Experts> {
  const { labels, onProgress, features, ...rest } = plan
  const columns = columnsOf(features, 'wire')
  const isApart = needsContext(columns) && !catalogEntry(plan.detector).supervised
  const fit = async (variant: Variant, chosen: readonly number[]): Promise<Expert> => await Expert.fit(chosen.map((i) => all[i]), {
    ...rest, variant, calibrated: isApart,
    features: isApart ? columns.filter((name) => !isMessageColumn(name)).join() : features,
    ...onProgress !== undefined && { onProgress: (progress) => { onProgress(progress, variant) } },
    ...labels !== undefined && { labels: Uint8Array.from(chosen, (i) => labels[i]) }
  })
  const packets = [...all.keys()]
  const carrying = packets.filter((i) => hasPayload(all[i]))
  const others = packets.filter((i) => all[i].mqtt_msg_type !== null && !hasPayload(all[i]))
  const isSplit = isApart && carrying.length >= FEWEST_RECORDS && others.length >= FEWEST_RECORDS
  const choose = (chosen: readonly number[], withPayload: boolean): number[] => chosen.filter((i) => hasPayload(all[i]) === withPayload)

  const broker = await fit('broker', isSplit ? choose(packets, false) : packets)
  const experts: Experts = { broker }
  if (frames.length > 0) experts.wire = await fit('wire', isSplit ? choose(frames, false) : frames)
  if (!isSplit) return experts
  experts.carriers = { broker: await fit('broker', choose(packets, true)) }
  if (frames.length > 0) experts.carriers.wire = await fit('wire', choose(frames, true))
  const messageColumns = columns.filter(isMessageColumn)
  const samples = carrying.flatMap((i) => all[i].context?.payloads ?? [])
  if (messageColumns.length > 0 && samples.length >= FEWEST_RECORDS) {
    experts.messages = await Expert.fitMessages(samples, messageColumns, { ...rest, calibrated: true })
  }
  return experts
}

/** The expert on records like this one; undefined where there is none. */
export function expertFor (experts: Experts, features: RecordFeatures, isFrame: boolean): Expert | undefined {
  const { carriers } = experts
  const isWire = isFrame && experts.wire !== undefined
  if (!isWire && features.mqtt_msg_type === null) return undefined
  if (carriers !== undefined && hasPayload(features)) return isWire ? carriers.wire : carriers.broker
  return isWire ? experts.wire : experts.broker
}

/** Raises each record's score to that of the worst of its payloads. */
export function withMessages (expert: MessageExpert, records: readonly RecordFeatures[], scores: Float64Array, heldOut: boolean): void {
  const places: number[] = []
  const samples: PayloadSample[] = []
  records.forEach(({ context }, i) => {
    for (const sample of context?.payloads ?? []) {
      places.push(i)
      samples.push(sample)
    }
  })
  if (samples.length === 0) return
  const judged: Scored = expert.score(samples, heldOut)
  judged.scores.forEach((score, k) => { scores[places[k]] = Math.max(scores[places[k]], score) })
}

/** The payload of a record that is least usual. */
export function worstMessage (expert: MessageExpert, { context }: RecordFeatures): { sample: PayloadSample, score: number } | undefined {
  const samples = context?.payloads ?? []
  if (samples.length === 0) return undefined
  const { scores } = expert.score(samples)
  const worst = scores.indexOf(Math.max(...scores))
  return { sample: samples[worst], score: scores[worst] }
}

function hasPayload ({ context, mqtt_msg: message }: RecordFeatures): boolean {
  return context === undefined ? message !== null : context.payloads !== null
}
