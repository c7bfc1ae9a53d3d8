// An expert: an encoding, a scaler and a detector that turn records or payloads into scores.

import { createHash } from 'node:crypto'
import {
  createDetector,
  DetectorError,
  loadDetector,
  StandardScaler,
  Tail,
  type DetectorJson,
  type DetectorKind,
  type FitOptions,
  type OutlierDetector,
  type StandardScalerJson,
  type TailJson
} from '../../models/index.js'
import { StateReader, toBase64 } from '../../models/state.js'
import { percentile } from '../../models/statistics.js'
import { OperatorError } from '../errors.js'
import { columnsOf, type ColumnName, type Variant } from '../features/columns.js'
import { Encoding, type EncodingJson } from '../features/encoding.js'
import { MessageEncoding, type MessageEncodingJson } from '../features/message-encoding.js'
import { NO_TOPIC, type PayloadSample } from '../features/payload-sample.js'
import type { RecordFeatures } from '../features/schema.js'

/**
 * Columns are clipped at this many standard deviations. Otherwise a flag seen once in training would dominate a
 * distance.
 */
const CLIP_LIMIT = 10

/** Maximum number of features in an explanation. */
const MAX_CONTRIBUTIONS = 3

/** Surprise that maps to probability 1: one in a million. */
const CERTAIN_SURPRISE = 6

/** Options of training any expert. */
export interface DetectorPlan extends FitOptions {
  detector: DetectorKind
  /** Further parameters of the detector, by name. */
  parameters?: Readonly<Record<string, unknown>>
  /** Share of outliers assumed among the records, in (0, 0.5]. */
  contamination?: number
  seed?: number
  /** Whether scores are converted to surprise (see `Tail`), a common scale for all experts. */
  calibrated?: boolean
}

/** Options of training an expert on records. */
export interface ExpertOptions extends DetectorPlan {
  /**
   * A preset or a comma-separated list of features.
   * @default 'table1-no-identity'
   */
  features?: string
  /** `broker` uses only columns that are known without a tap, and trains on records with an MQTT packet. */
  variant: Variant
  /** One per record, 1 = outlier. Only for supervised detectors. */
  labels?: ArrayLike<number>
}

/** The training of an expert. */
export interface TrainingSummary {
  rows: number
  /** SHA-256 of the encoded rows and labels, in hex. */
  digest: string
  /** Duration of the training. */
  seconds: number
}

/** The contribution of one feature to a score. */
export interface ColumnContribution {
  feature: ColumnName
  /** The record's value. For a payload its mean log-likelihood per byte, never the payload itself. */
  value: number | string | null
  /** How far the score falls if the feature takes its training median. */
  contribution: number
}

/** Scores, where higher is more abnormal, and probabilities in [0, 1]; one of each per item. */
export interface Scored {
  scores: Float64Array
  probabilities: Float64Array
}

/** JSON form of an expert. */
export interface ExpertJson {
  variant: Variant
  encoding: EncodingJson | MessageEncodingJson
  scaler: StandardScalerJson
  /** Training median of each column before scaling; Float64 as base64. */
  medians: string
  detector: DetectorJson
  training: TrainingSummary
  tail?: TailJson
}

/** Encodes items as vectors: {@link Encoding} for records, {@link MessageEncoding} for payloads. */
export interface ItemEncoding<T> {
  readonly columns: readonly ColumnName[]
  readonly dropped: readonly ColumnName[]
  /** Per column, the deviation below which a difference is irrelevant; 0 to derive it from the data. */
  readonly leastDeviations: Float64Array
  encode(item: T): Float64Array
  encodeHeldOut(item: T): Float64Array
  shown(item: T, column: number, row: Float64Array): number | string | null
  toJSON(): EncodingJson | MessageEncodingJson
}

/** An expert on application payloads. */
export type MessageExpert = Expert<PayloadSample>

/** Scores items of one kind: frames of a tap, packets of the broker alone, or payloads. */
export class Expert<T = RecordFeatures> {
  private constructor(
    /** Payloads do not depend on the tap, so their expert has the variant `broker`. */
    readonly variant: Variant,
    readonly encoding: ItemEncoding<T>,
    readonly scaler: StandardScaler,
    readonly medians: Float64Array,
    readonly detector: OutlierDetector,
    readonly training: Readonly<TrainingSummary>,
    readonly tail: Tail | undefined
  ) {}

  /**
   * Trains on records. Encodes payloads as if the model had not seen them (see `features/payload-profile.ts`).
   *
   * @throws OperatorError for unsuitable parameters, labels or data
   */
  static async fit(records: readonly RecordFeatures[], options: ExpertOptions): Promise<Expert> {
    const { variant, labels } = options
    if (labels !== undefined && labels.length !== records.length) {
      throw new OperatorError('training-labels', `${labels.length} labels for ${records.length} records`)
    }
    // Without a tap a record is an MQTT packet. Bare TCP acknowledgements never reach that expert.
    const chosen = [...records.keys()].filter(i => variant === 'wire' || records[i].mqtt_msg_type !== null)
    const used = chosen.map(i => records[i])
    const usedLabels = labels === undefined ? undefined : Uint8Array.from(chosen, i => labels[i])
    const encoding = Encoding.fit(used, { columns: columnsOf(options.features ?? 'table1-no-identity', variant) })
    return await Expert.#learn(used, usedLabels, encoding, variant, options)
  }

  /**
   * Trains on payloads. Each is used twice: as it is, and as if its topic were unknown, because an unknown topic alone
   * must not make a payload abnormal.
   *
   * @param columns the message columns to use
   * @throws OperatorError for unsuitable parameters or data
   */
  static async fitMessages(
    samples: readonly PayloadSample[],
    columns: readonly ColumnName[],
    plan: DetectorPlan
  ): Promise<MessageExpert> {
    const withoutTopic = samples.map(sample => ({ ...sample, topic: NO_TOPIC, parent: NO_TOPIC }))
    return await Expert.#learn(
      [...samples, ...withoutTopic],
      undefined,
      MessageEncoding.fit(samples, columns),
      'broker',
      plan
    )
  }

  static async #learn<T>(
    items: readonly T[],
    labels: Uint8Array | undefined,
    encoding: ItemEncoding<T>,
    variant: Variant,
    plan: DetectorPlan
  ): Promise<Expert<T>> {
    const started = performance.now()
    const { signal } = plan
    const rows = await mapInChunks(items, item => encoding.encodeHeldOut(item), signal)
    const scaler = StandardScaler.fit(rows, { limit: CLIP_LIMIT, least: encoding.leastDeviations })
    const detector = await fitDetector(await mapInChunks(rows, row => scaler.transform(row), signal), labels, plan)
    const tail = plan.calibrated === true ? Tail.fit(detector.unboundedTrainingScores ?? []) : undefined
    return new Expert<T>(
      variant,
      encoding,
      scaler,
      columnMedians(rows),
      detector,
      {
        rows: rows.length,
        digest: digestRows(rows, labels),
        seconds: (performance.now() - started) / 1000
      },
      tail
    )
  }

  /**
   * Restores an expert on records from the result of `toJSON`.
   *
   * @throws OperatorError `model-features` if it was trained on other features
   * @throws DetectorError `state` or `parameter` if the JSON is invalid
   */
  static fromJSON(json: unknown): Expert {
    return Expert.#restore(json, encoding => Encoding.fromJSON(encoding))
  }

  /** Restores an expert on payloads, like {@link fromJSON}. */
  static messagesFromJSON(json: unknown): MessageExpert {
    return Expert.#restore(json, encoding => MessageEncoding.fromJSON(encoding))
  }

  static #restore<T>(json: unknown, readEncoding: (json: unknown) => ItemEncoding<T>): Expert<T> {
    const reader = new StateReader(json, 'expert')
    const variant = reader.string('variant')
    if (variant !== 'wire' && variant !== 'broker')
      throw new DetectorError('state', 'expert.variant must be wire or broker')
    const encoding = readEncoding(reader.raw('encoding'))
    const scaler = StandardScaler.fromJSON(reader.raw('scaler'))
    const detector = loadDetector(reader.raw('detector'))
    const width = encoding.columns.length
    if (detector.width !== width || scaler.mean.length !== width) {
      throw new DetectorError(
        'state',
        `expert: columns differ: encoding ${width}, scaler ${scaler.mean.length}, detector ${detector.width}`
      )
    }
    const training = reader.object('training')
    const tail = reader.raw('tail')
    return new Expert<T>(
      variant,
      encoding,
      scaler,
      reader.array('medians', Float64Array, width),
      detector,
      {
        rows: training.integer('rows', 1, Number.MAX_SAFE_INTEGER),
        digest: training.string('digest'),
        seconds: training.number('seconds', 0)
      },
      tail === undefined ? undefined : Tail.fromJSON(tail)
    )
  }

  /**
   * Scores items.
   *
   * @param heldOut whether the items are the training items and their payloads are to be scored as if unseen
   */
  score(items: readonly T[], heldOut = false): Scored {
    const rows = items.map(item =>
      this.scaler.transform(heldOut ? this.encoding.encodeHeldOut(item) : this.encoding.encode(item))
    )
    const { detector, tail } = this
    if (tail === undefined) {
      const scores = detector.decisionFunction(rows)
      return { scores, probabilities: detector.probabilities(scores) }
    }
    const surprises = detector.unbounded(rows).map(score => tail.surprise(score))
    return { scores: surprises, probabilities: surprises.map(probabilityOf) }
  }

  /**
   * Returns the features, at most three, that raise the item's score most, in descending order. Each feature alone is
   * set to its training median; its contribution is the decrease of the score.
   */
  contributions(item: T): ColumnContribution[] {
    const row = this.encoding.encode(item)
    const replaced = this.encoding.columns.map((_, j) => this.scaler.transform(row.with(j, this.medians[j])))
    // A bounded score at its limit would hide the contributions.
    const [score, ...others] = this.detector.unbounded([this.scaler.transform(row), ...replaced])
    return this.encoding.columns
      .map((feature, j): ColumnContribution => ({
        feature,
        value: this.encoding.shown(item, j, row),
        contribution: score - others[j]
      }))
      .filter(({ contribution }) => contribution > 0)
      .sort((a, b) => b.contribution - a.contribution)
      .slice(0, MAX_CONTRIBUTIONS)
  }

  toJSON(): ExpertJson {
    return {
      variant: this.variant,
      encoding: this.encoding.toJSON(),
      scaler: this.scaler.toJSON(),
      medians: toBase64(this.medians),
      detector: this.detector.toJSON(),
      training: { ...this.training },
      ...(this.tail !== undefined && { tail: this.tail.toJSON() })
    }
  }
}

/** Maps surprise to [0, 1]. */
export function probabilityOf(surprise: number): number {
  return Math.min(1, surprise / CERTAIN_SURPRISE)
}

/** Maps items in chunks of a thousand, so that a thread that trains still does its other work. */
async function mapInChunks<T, U>(items: readonly T[], map: (item: T) => U, signal?: AbortSignal): Promise<U[]> {
  const mapped: U[] = []
  for (let start = 0; start < items.length; start += 1000) {
    for (const item of items.slice(start, start + 1000)) mapped.push(map(item))
    await new Promise(resolve => setImmediate(resolve))
    signal?.throwIfAborted()
  }
  return mapped
}

async function fitDetector(
  rows: Float64Array[],
  labels: Uint8Array | undefined,
  options: DetectorPlan
): Promise<OutlierDetector> {
  const { detector: kind, parameters, contamination, seed } = options
  try {
    const detector = createDetector(kind, {
      ...parameters,
      ...(contamination !== undefined && { contamination }),
      ...(seed !== undefined && { seed })
    })
    await detector.fit(rows, labels, options)
    return detector
  } catch (error) {
    if (!(error instanceof DetectorError)) throw error
    throw new OperatorError(`training-${error.code}`, `${kind}: ${error.message}`, undefined, { cause: error })
  }
}

function columnMedians(rows: Float64Array[]): Float64Array {
  return Float64Array.from(rows[0], (_, j) =>
    percentile(
      rows.map(row => row[j]),
      50
    )
  )
}

function digestRows(rows: Float64Array[], labels: Uint8Array | undefined): string {
  const hash = createHash('sha256')
  for (const row of rows) hash.update(new Uint8Array(row.buffer))
  if (labels !== undefined) hash.update(labels)
  return hash.digest('hex')
}
