// A complete model: experts on frames, on packets without a tap and on payloads, with the alert limits.

import { timeOf, type TrafficRecord } from '../record.js'
import type { Contribution } from '../alert/alert.js'
import { baselinesFromJson, type Baselines } from '../alert/baselines.js'
import { OperatorError } from '../errors.js'
import type { DetectorKind, FitProgress } from '../../models/index.js'
import { percentile } from '../../models/statistics.js'
import { needsContext, type Variant } from '../features/columns.js'
import { probabilityOf, type Scored } from './expert.js'
import { loadModel, saveModel, type Json, type Model } from './model-file.js'
import { fitExperts, panelFor, applyMessageScores, worstMessage } from './experts.js'
import type { Panel } from './panel.js'
import { SurpriseMemory } from './surprise-memory.js'

/** Settings of the training. */
export interface DetectorSettings {
  kind: DetectorKind
  /** Share of outliers assumed in the training data. */
  contamination: number
  seed: number
  /** A preset or a comma-separated list of features. */
  features: string
  /** Further parameters of the detector, by name. */
  parameters?: Readonly<Record<string, unknown>>
}

/** Options of {@link GuardModel.fit}. */
export interface GuardFitOptions {
  /** One per record, 1 = attack. Only for supervised detectors. */
  labels?: ArrayLike<number>
  onProgress?: (progress: FitProgress, variant: Variant) => void
  signal?: AbortSignal
  /**
   * Creation time of the model.
   * @default the time of the last record
   */
  created?: Date
}

/** One of each per record; NaN for a record that no expert can score. */
export interface RecordScores {
  /** Higher is more abnormal; on the scale of the expert. */
  scores: Float64Array
  /** Outlier probabilities, in [0, 1]. */
  probabilities: Float64Array
  /** Probabilities without the records that each record answers or forwards. Its sender is charged with these. */
  ownProbabilities: Float64Array
}

/** The sample size of an isolation tree. Fewer frames cover too short a time to train wire experts. */
const MINIMUM_FRAMES = 256

/** Scores records: frames by all columns, packets without a tap by the columns of the broker; see `experts.ts`. */
export class GuardModel {
  readonly #model: Model

  private constructor(
    model: Model,
    /** Identifies the model in alerts: SHA-256 of its file, or of its training data if it is only in memory. */
    readonly digest: string,
    readonly baselines: Baselines
  ) {
    this.#model = model
  }

  /**
   * Trains all experts on the same records. With too few frames, only those that need no tap.
   *
   * @throws OperatorError for unsuitable records
   */
  static async fit(
    records: readonly TrafficRecord[],
    settings: DetectorSettings,
    options: GuardFitOptions = {}
  ): Promise<GuardModel> {
    const { kind: detector, seed, contamination } = settings
    const { created = new Date(timeOf(records[records.length - 1]) * 1_000), ...fitOptions } = options
    const frames = [...records.keys()].filter(i => records[i].frame !== null)
    const experts = await fitExperts(
      records.map(({ features }) => features),
      frames.length < MINIMUM_FRAMES ? [] : frames,
      {
        ...settings,
        detector,
        ...fitOptions
      }
    )
    const model = new GuardModel(
      { created: created.toISOString(), seed, detector, experts },
      experts.broker.digest,
      NO_LIMITS
    )
    if (!experts.broker.isCalibrated) return model
    const scores = model.score(records, new SurpriseMemory(), true).scores.filter(score => !Number.isNaN(score))
    const threshold = percentile(scores, 100 * (1 - contamination))
    return new GuardModel({ ...model.#model, threshold }, model.digest, NO_LIMITS)
  }

  /**
   * Loads a model.
   *
   * @throws OperatorError if the file is missing, damaged, or of another version
   */
  static async load(path: string): Promise<GuardModel> {
    const model = await loadModel(path)
    const baselines = baselinesFromJson(model.alert)
    if (baselines === undefined) {
      throw new OperatorError(
        'model-no-limits',
        `${path}: the model has no alert limits`,
        'Train it again with this version, or move it away so that the broker learns in place.'
      )
    }
    return new GuardModel(model, model.digest, baselines)
  }

  /** Returns the same experts with other limits, and optionally with the metrics of an evaluation. */
  withBaselines(baselines: Baselines, metrics = this.#model.metrics): GuardModel {
    return new GuardModel({ ...this.#model, ...(metrics !== undefined && { metrics }) }, this.digest, baselines)
  }

  /** Writes the model atomically. Returns it with the digest of its file. */
  async save(path: string): Promise<GuardModel> {
    const alert = this.baselines as unknown as Json
    return new GuardModel({ ...this.#model, alert }, await saveModel(path, { ...this.#model, alert }), this.baselines)
  }

  /** Name of the detector. */
  get detector(): DetectorKind {
    return this.#model.detector
  }

  /** Training time, ISO 8601. */
  get created(): string {
    return this.#model.created
  }

  /** Whether it has experts on frames. */
  get hasWireExperts(): boolean {
    return this.#model.experts.wire !== undefined
  }

  /** Whether it uses more than Table I: context, or single payloads. */
  get needsContext(): boolean {
    const { wire, broker, messages } = this.#model.experts
    return messages !== undefined || needsContext((wire ?? broker).columns)
  }

  /** Number of training rows of each panel. */
  get rows(): { wire: number; broker: number } {
    const { wire, broker } = this.#model.experts
    return { wire: wire?.rows ?? 0, broker: broker.rows }
  }

  /** The experts: `wire` scores frames if present, `broker` scores all other records with an MQTT packet. */
  get experts(): Readonly<Model['experts']> {
    return this.#model.experts
  }

  /** The evaluation of the model as {@link Evaluation}; undefined if it was not evaluated. */
  get metrics(): Json | undefined {
    return this.#model.metrics
  }

  /** Score above which a record from a tap is an outlier. */
  get threshold(): number {
    return this.#model.threshold ?? (this.experts.wire ?? this.experts.broker).experts[0].detector.threshold
  }

  /**
   * Scores records. The result is NaN for a record that no expert can score: a frame without an MQTT packet if the
   * model was trained without a tap.
   *
   * @param memory surprises of earlier records of the same source, for records that refer to them
   * @param heldOut whether these are the training records
   */
  score(records: readonly TrafficRecord[], memory = new SurpriseMemory(), heldOut = false): RecordScores {
    const result = this.#scoreBy(records, (panel, chosen) =>
      panel.score(
        chosen.map(i => records[i].features),
        heldOut
      )
    )
    const { experts } = this.#model
    if (!experts.broker.isCalibrated) return result
    const { scores } = result
    if (experts.messages !== undefined)
      applyMessageScores(
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
      // Not stored, because a disconnected client's messages after its return are normal.
      if (context.takeover !== null) scores[i] = Math.max(scores[i], memory.get(context.takeover) ?? 0)
    })
    return { scores, probabilities: scores.map(probabilityOf), ownProbabilities }
  }

  /**
   * Scores the records that were passed to `fit`, directly after it. Each is scored as if the detector had not seen it,
   * if the detector supports this.
   */
  scoreTraining(records: readonly TrafficRecord[]): RecordScores {
    const { wire, broker } = this.#model.experts
    if (broker.isCalibrated) return this.score(records, new SurpriseMemory(), true)
    const indices = {
      wire: indicesAmong(records, ({ frame }) => frame !== null),
      broker: indicesAmong(records, isPacket)
    }
    return this.#scoreBy(records, (panel, chosen) => {
      const [{ detector }] = panel.experts
      const all = detector.trainingScores ?? new Float64Array(records.length).fill(NaN)
      const scores = Float64Array.from(chosen, i => all[indices[panel === wire ? 'wire' : 'broker'][i]])
      return { scores, probabilities: detector.probabilities(scores) }
    })
  }

  #scoreBy(
    records: readonly TrafficRecord[],
    score: (panel: Panel, chosen: readonly number[]) => Scored
  ): RecordScores {
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
      const scored = score(panel, chosen)
      chosen.forEach((index, i) => {
        scores[index] = scored.scores[i]
        probabilities[index] = scored.probabilities[i]
      })
    }
    return { scores, probabilities, ownProbabilities: probabilities }
  }

  /** Returns the features that raise the record's score most, from the expert with the highest score. */
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

/** Returns, for each record, the number of matching records before it. */
function indicesAmong(records: readonly TrafficRecord[], matches: (record: TrafficRecord) => boolean): Uint32Array {
  let count = 0
  return Uint32Array.from(records, record => (matches(record) ? count++ : count))
}

const UNLIMITED = { mean: 0, reference: 0, limits: { jump: Infinity, level: Infinity, cusum: Infinity } }
const NO_LIMITS: Baselines = { gateway: UNLIMITED, client: UNLIMITED }
