// A model that can guard: an expert for frames, one for packets without a tap, and the limits of the alerts.

import { timeOf, type TrafficRecord } from '../record.js'
import type { Contribution } from '../alert/alert.js'
import { baselinesFromJson, type Baselines } from '../alert/baselines.js'
import { OperatorError } from '../errors.js'
import type { DetectorKind } from '../../models/index.js'
import { Expert } from './expert.js'
import { loadModel, saveModel, type Json, type Model } from './model-file.js'

/** What to learn, and how. */
export interface DetectorSettings {
  kind: DetectorKind
  /** Share of outliers assumed in the training data. */
  contamination: number
  seed: number
  /** A preset or a list of features parted by commas. */
  features: string
}

/** With fewer frames than an isolation tree samples, a model of the wire would know only a moment. */
const FEWEST_FRAMES = 256

/** Judges records: frames by all columns, packets without a tap by what the broker alone knows. */
export class GuardModel {
  private constructor (
    private readonly model: Model,
    /** Names the model in alerts: the SHA-256 of its file, or of its training data while it is in memory only. */
    readonly digest: string,
    readonly baselines: Baselines
  ) {}

  /**
   * Fits both experts on the same records. Without enough frames there is only the one that needs no tap.
   *
   * @throws OperatorError where the records do not serve
   */
  static async fit (records: readonly TrafficRecord[], settings: DetectorSettings, signal?: AbortSignal): Promise<GuardModel> {
    const { kind: detector, contamination, seed, features } = settings
    const options = { detector, contamination, seed, features, ...signal !== undefined && { signal } }
    const frames = records.filter(({ frame }) => frame !== null).map(({ features: values }) => values)
    const broker = await Expert.fit(records.map(({ features: values }) => values), { ...options, variant: 'broker' })
    const wire = frames.length < FEWEST_FRAMES ? undefined : await Expert.fit(frames, { ...options, variant: 'wire' })
    const created = new Date(timeOf(records[records.length - 1]) * 1_000).toISOString()
    const model: Model = { created, seed, detector, experts: { broker, ...wire !== undefined && { wire } } }
    return new GuardModel(model, broker.training.digest, NO_LIMITS)
  }

  /**
   * @throws OperatorError where the file is missing, damaged or of another make
   */
  static async load (path: string): Promise<GuardModel> {
    const model = await loadModel(path)
    const baselines = baselinesFromJson(model.alert)
    if (baselines === undefined) {
      throw new OperatorError('model-no-limits', `${path}: the model holds no limits for alerts`,
        'Train it anew with this version, or move it away and let the broker learn in place.')
    }
    return new GuardModel(model, model.digest, baselines)
  }

  /** The same experts with other limits. */
  withBaselines (baselines: Baselines): GuardModel {
    return new GuardModel(this.model, this.digest, baselines)
  }

  /** Writes the model, whole or not at all; returns it under the name of its file. */
  async save (path: string): Promise<GuardModel> {
    const alert = this.baselines as unknown as Json
    return new GuardModel({ ...this.model, alert }, await saveModel(path, { ...this.model, alert }), this.baselines)
  }

  /** Name of the detector. */
  get detector (): DetectorKind {
    return this.model.detector
  }

  /** When it was trained, ISO 8601. */
  get created (): string {
    return this.model.created
  }

  /** Whether it knows the columns of the wire. */
  get knowsWire (): boolean {
    return this.model.experts.wire !== undefined
  }

  /** Rows each expert was trained on. */
  get rows (): { wire: number, broker: number } {
    const { wire, broker } = this.model.experts
    return { wire: wire?.training.rows ?? 0, broker: broker.training.rows }
  }

  /**
   * Outlier probabilities, one per record, in [0, 1]; NaN for a record that neither expert can judge:
   * a frame without an MQTT packet, where the model was learnt without a tap.
   */
  probabilities (records: readonly TrafficRecord[]): Float64Array {
    const probabilities = new Float64Array(records.length).fill(NaN)
    const groups = new Map<Expert, number[]>()
    for (const [i, record] of records.entries()) {
      const expert = this.expertFor(record)
      if (expert === undefined) continue
      const group = groups.get(expert)
      if (group === undefined) groups.set(expert, [i])
      else group.push(i)
    }
    for (const [expert, indices] of groups) {
      const scored = expert.score(indices.map(i => records[i].features)).probabilities
      indices.forEach((index, i) => { probabilities[index] = scored[i] })
    }
    return probabilities
  }

  /** The features that made the record look most abnormal. */
  contributions (record: TrafficRecord): Contribution[] {
    return this.expertFor(record)?.contributions(record.features) ?? []
  }

  private expertFor ({ frame, features }: TrafficRecord): Expert | undefined {
    const { wire, broker } = this.model.experts
    if (frame !== null && wire !== undefined) return wire
    return features.mqtt_msg_type === null ? undefined : broker
  }
}

const UNLIMITED = { mean: 0, reference: 0, limits: { jump: Infinity, level: Infinity, cusum: Infinity } }
const NO_LIMITS: Baselines = { gateway: UNLIMITED, client: UNLIMITED }
