// A model that can guard: experts on frames, on packets without a tap and on payloads, and the limits of the alerts.

import { timeOf, type TrafficRecord } from '../record.js'
import type { Contribution } from '../alert/alert.js'
import { baselinesFromJson, type Baselines } from '../alert/baselines.js'
import { OperatorError } from '../errors.js'
import type { DetectorKind, FitProgress } from '../../models/index.js'
import { percentile } from '../../models/statistics.js'
import { needsContext, type Variant } from '../features/columns.js'
import { probabilityOf, type Scored } from './expert.js'
import { loadModel, saveModel, type Json, type Model } from './model-file.js'
import { fitExperts, panelFor, withMessages, worstMessage } from './experts.js'
import type { Panel } from './panel.js'
import { SurpriseMemory } from './surprise-memory.js'

/** What to learn, and how. */
export interface DetectorSettings {
  kind: DetectorKind
  /** Share of outliers assumed in the training data. */
  contamination: number
  seed: number
  /** A preset or a list of features parted by commas. */
  features: string
  /** Further parameters of the detector, by name. */
  parameters?: Readonly<Record<string, unknown>>
}

/** What may be passed to {@link GuardModel.fit} beside the records. */
export interface GuardFitOptions {
  /** One for each record, 1 = attack; only where the detector is supervised. */
  labels?: ArrayLike<number>
  onProgress?: (progress: FitProgress, variant: Variant) => void
  signal?: AbortSignal
  /** When the model is made; the time of the last record unless given. */
  created?: Date
}

/** One of each for each record; NaN for a record that neither expert can judge. */
export interface Judgement {
  /** Higher is more abnormal; on the scale of the expert that judges. */
  scores: Float64Array
  /** Outlier probabilities, in [0, 1]. */
  probabilities: Float64Array
  /** The same of each record by itself: what its sender is held to, whoever else made it send that. */
  ownProbabilities: Float64Array
}

/** With fewer frames than an isolation tree samples, a model of the wire would know only a moment. */
const FEWEST_FRAMES = 256

/** Judges records: frames by all columns, packets without a tap by what the broker alone knows; see `experts.ts`. */
export class GuardModel {
  readonly #model: Model

  private constructor(
    model: Model,
    /** Names the model in alerts: the SHA-256 of its file, or of its training data while it is in memory only. */
    readonly digest: string,
    readonly baselines: Baselines
  ) {
    this.#model = model
  }

  /**
   * Fits all experts on the same records. Without enough frames there are only those that need no tap.
   *
   * @throws OperatorError where the records do not serve
   */
  static async fit(
    records: readonly TrafficRecord[],
    settings: DetectorSettings,
    options: GuardFitOptions = {}
  ): Promise<GuardModel> {
    const { kind: detector, seed, contamination } = settings
    const { created = new Date(timeOf(records[records.length - 1]) * 1_000), ...watched } = options
    const frames = [...records.keys()].filter(i => records[i].frame !== null)
    const experts = await fitExperts(
      records.map(({ features }) => features),
      frames.length < FEWEST_FRAMES ? [] : frames,
      {
        ...settings,
        detector,
        ...watched
      }
    )
    const model = new GuardModel(
      { created: created.toISOString(), seed, detector, experts },
      experts.broker.digest,
      NO_LIMITS
    )
    if (!experts.broker.isCalibrated) return model
    const scores = model.judge(records, new SurpriseMemory(), true).scores.filter(score => !Number.isNaN(score))
    const threshold = percentile(scores, 100 * (1 - contamination))
    return new GuardModel({ ...model.#model, threshold }, model.digest, NO_LIMITS)
  }

  /**
   * @throws OperatorError where the file is missing, damaged or of another make
   */
  static async load(path: string): Promise<GuardModel> {
    const model = await loadModel(path)
    const baselines = baselinesFromJson(model.alert)
    if (baselines === undefined) {
      throw new OperatorError(
        'model-no-limits',
        `${path}: the model holds no limits for alerts`,
        'Train it anew with this version, or move it away and let the broker learn in place.'
      )
    }
    return new GuardModel(model, model.digest, baselines)
  }

  /** The same experts with other limits, and with figures of an evaluation. */
  withBaselines(baselines: Baselines, metrics = this.#model.metrics): GuardModel {
    return new GuardModel({ ...this.#model, ...(metrics !== undefined && { metrics }) }, this.digest, baselines)
  }

  /** Writes the model, whole or not at all; returns it under the name of its file. */
  async save(path: string): Promise<GuardModel> {
    const alert = this.baselines as unknown as Json
    return new GuardModel({ ...this.#model, alert }, await saveModel(path, { ...this.#model, alert }), this.baselines)
  }

  /** Name of the detector. */
  get detector(): DetectorKind {
    return this.#model.detector
  }

  /** When it was trained, ISO 8601. */
  get created(): string {
    return this.#model.created
  }

  /** Whether it knows the columns of the wire. */
  get knowsWire(): boolean {
    return this.#model.experts.wire !== undefined
  }

  /** Whether it looks at more than Table I: at context, or at payloads one by one. */
  get needsContext(): boolean {
    const { wire, broker, messages } = this.#model.experts
    return messages !== undefined || needsContext((wire ?? broker).columns)
  }

  /** Rows each expert was trained on. */
  get rows(): { wire: number; broker: number } {
    const { wire, broker } = this.#model.experts
    return { wire: wire?.rows ?? 0, broker: broker.rows }
  }

  /** The experts: `wire` judges frames where there is one, `broker` all else that has an MQTT packet. */
  get experts(): Readonly<Model['experts']> {
    return this.#model.experts
  }

  /** What the model scored in its evaluation, as {@link Evaluation}; undefined where there was none. */
  get metrics(): Json | undefined {
    return this.#model.metrics
  }

  /** Score above which a record of a tap is an outlier. */
  get threshold(): number {
    return this.#model.threshold ?? (this.experts.wire ?? this.experts.broker).experts[0].detector.threshold
  }

  /**
   * Scores and probabilities of records; NaN for one that no expert can judge: a frame without an MQTT packet,
   * where the model was learnt without a tap.
   *
   * @param memory of the source that the records come from, one after the other; where answers are judged with what
   *   they answer
   * @param heldOut whether these are the training records
   */
  judge(records: readonly TrafficRecord[], memory = new SurpriseMemory(), heldOut = false): Judgement {
    const judged = this.#judgeBy(records, (panel, chosen) =>
      panel.score(
        chosen.map(i => records[i].features),
        heldOut
      )
    )
    const { experts } = this.#model
    if (!experts.broker.isCalibrated) return judged
    const { scores } = judged
    if (experts.messages !== undefined)
      withMessages(
        experts.messages,
        records.map(({ features }) => features),
        scores,
        heldOut
      )
    const ownProbabilities = scores.map(probabilityOf)
    records.forEach(({ features: { context } }, i) => {
      if (context === undefined || Number.isNaN(scores[i])) return
      scores[i] = memory.withReferences(scores[i], context)
      memory.set(context.record, scores[i])
      // Not remembered: what a client that was thrown out has to say when it is back is as usual as ever.
      if (context.takeover !== null) scores[i] = Math.max(scores[i], memory.get(context.takeover) ?? 0)
    })
    return { scores, probabilities: scores.map(probabilityOf), ownProbabilities }
  }

  /**
   * The same for the very records that `fit` took, right after it: each scored as if the detector had
   * not seen it, as far as the detector can.
   */
  judgeTraining(records: readonly TrafficRecord[]): Judgement {
    const { wire, broker } = this.#model.experts
    if (broker.isCalibrated) return this.judge(records, new SurpriseMemory(), true)
    const places = { wire: placesOf(records, ({ frame }) => frame !== null), broker: placesOf(records, isPacket) }
    return this.#judgeBy(records, (panel, chosen) => {
      const [{ detector }] = panel.experts
      const all = detector.trainingScores ?? new Float64Array(records.length).fill(NaN)
      const scores = Float64Array.from(chosen, i => all[places[panel === wire ? 'wire' : 'broker'][i]])
      return { scores, probabilities: detector.probabilities(scores) }
    })
  }

  #judgeBy(records: readonly TrafficRecord[], judge: (panel: Panel, chosen: readonly number[]) => Scored): Judgement {
    const scores = new Float64Array(records.length).fill(NaN)
    const probabilities = new Float64Array(records.length).fill(NaN)
    const groups = new Map<Panel, number[]>()
    for (const [i, { features, frame }] of records.entries()) {
      const panel = panelFor(this.#model.experts, features, frame !== null)
      if (panel === undefined) continue
      const group = groups.get(panel)
      if (group === undefined) groups.set(panel, [i])
      else group.push(i)
    }
    for (const [panel, chosen] of groups) {
      const judged = judge(panel, chosen)
      chosen.forEach((index, i) => {
        scores[index] = judged.scores[i]
        probabilities[index] = judged.probabilities[i]
      })
    }
    return { scores, probabilities, ownProbabilities: probabilities }
  }

  /** The features that made the record look most abnormal: of the expert that found it most so. */
  contributions({ features, frame }: TrafficRecord): Contribution[] {
    const { experts } = this.#model
    const panel = panelFor(experts, features, frame !== null)
    const message = experts.messages === undefined ? undefined : worstMessage(experts.messages, features)
    if (message !== undefined && message.score > (panel?.score([features]).scores[0] ?? 0))
      return experts.messages?.contributions(message.sample) ?? []
    return panel?.contributions(features) ?? []
  }
}

function isPacket({ features }: TrafficRecord): boolean {
  return features.mqtt_msg_type !== null
}

/** For each record, how many before it are alike. */
function placesOf(records: readonly TrafficRecord[], isAlike: (record: TrafficRecord) => boolean): Uint32Array {
  let count = 0
  return Uint32Array.from(records, record => (isAlike(record) ? count++ : count))
}

const UNLIMITED = { mean: 0, reference: 0, limits: { jump: Infinity, level: Infinity, cusum: Infinity } }
const NO_LIMITS: Baselines = { gateway: UNLIMITED, client: UNLIMITED }
