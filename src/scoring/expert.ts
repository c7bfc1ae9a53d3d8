// An encoding, a scaler and a detector that belong together: records or messages in, scores out.

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
 * Standard deviations beyond which a column says no more: a flag seen once in training would else
 * outweigh everything in a distance.
 */
const LIMIT = 10

/** Features named in an explanation. */
const EXPLAINED = 3

/** Surprise that is as certain as can be: once in a million. */
const CERTAIN = 6

/** How to learn, whatever it is. */
export interface DetectorPlan extends FitOptions {
  detector: DetectorKind
  /** Further parameters of the detector, by name. */
  parameters?: Readonly<Record<string, unknown>>
  /** Share of outliers assumed among the records, in (0, 0.5]. */
  contamination?: number
  seed?: number
  /** Scores are given as surprise (see `Tail`), which is one scale for all experts. */
  calibrated?: boolean
}

/** What to learn, and how. */
export interface ExpertOptions extends DetectorPlan {
  /** A preset or a list of features parted by commas; `table1-no-identity` unless given. */
  features?: string
  /** `broker`: only what is known without a tap, learnt from the records that have an MQTT packet. */
  variant: Variant
  /** One for each record, 1 = outlier; only where the detector is supervised. */
  labels?: ArrayLike<number>
}

/** What an expert was trained on. */
export interface TrainingSummary {
  rows: number
  /** SHA-256 of the encoded rows and labels, in hex. */
  digest: string
  /** How long it took. */
  seconds: number
}

/** One feature's share in a score. */
export interface ColumnContribution {
  feature: ColumnName
  /** The record's value; for a payload its mean log-likelihood per byte, never the payload. */
  value: number | string | null
  /** How far the score falls when the feature takes its training median. */
  contribution: number
}

/** Scores, higher is more abnormal, and probabilities in [0, 1]; one of each for each item. */
export interface Scored {
  scores: Float64Array
  probabilities: Float64Array
}

/** What `Expert.toJSON` gives. */
export interface ExpertJson {
  variant: Variant
  encoding: EncodingJson | MessageEncodingJson
  scaler: StandardScalerJson
  /** Median of each column in training, before scaling; Float64 as base64. */
  medians: string
  detector: DetectorJson
  training: TrainingSummary
  tail?: TailJson
}

/** From items to vectors: {@link Encoding} of records, {@link MessageEncoding} of payloads. */
export interface ItemEncoding<T> {
  readonly columns: readonly ColumnName[]
  readonly dropped: readonly ColumnName[]
  /** For each column, the deviation below which a difference says nothing; 0 where only the data can tell. */
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
    /** Payloads are the same with and without a tap; their expert is of `broker`. */
    readonly variant: Variant,
    readonly encoding: ItemEncoding<T>,
    readonly scaler: StandardScaler,
    readonly medians: Float64Array,
    readonly detector: OutlierDetector,
    readonly training: Readonly<TrainingSummary>,
    readonly tail: Tail | undefined
  ) {}

  /**
   * Learns from records. Payloads are encoded as if the model had not seen them (see `payload.ts`).
   * @throws OperatorError for parameters, labels or data that do not serve
   */
  static async fit(records: readonly RecordFeatures[], options: ExpertOptions): Promise<Expert> {
    const { variant, labels } = options
    if (labels !== undefined && labels.length !== records.length) {
      throw new OperatorError('training-labels', `there are ${labels.length} labels for ${records.length} records`)
    }
    // Without a tap a record is an MQTT packet: a bare acknowledgement never reaches that expert.
    const chosen = [...records.keys()].filter(i => variant === 'wire' || records[i].mqtt_msg_type !== null)
    const used = chosen.map(i => records[i])
    const usedLabels = labels === undefined ? undefined : Uint8Array.from(chosen, i => labels[i])
    const encoding = Encoding.fit(used, { columns: columnsOf(options.features ?? 'table1-no-identity', variant) })
    return await Expert.#learn(used, usedLabels, encoding, variant, options)
  }

  /**
   * Learns from payloads: each as what it is, and once more as if its topic were new. Somebody will
   * come with topics that nobody has seen, and that alone must not make what he says strange.
   * @param columns which of the columns of messages
   * @throws OperatorError for parameters or data that do not serve
   */
  static async fitMessages(
    samples: readonly PayloadSample[],
    columns: readonly ColumnName[],
    plan: DetectorPlan
  ): Promise<MessageExpert> {
    const newcomers = samples.map(sample => ({ ...sample, topic: NO_TOPIC, parent: NO_TOPIC }))
    return await Expert.#learn(
      [...samples, ...newcomers],
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
    const rows = await mapInTurns(items, item => encoding.encodeHeldOut(item), signal)
    const scaler = StandardScaler.fit(rows, { limit: LIMIT, least: encoding.leastDeviations })
    const detector = await fitDetector(await mapInTurns(rows, row => scaler.transform(row), signal), labels, plan)
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
   * The expert on records that `toJSON` saved.
   * @throws OperatorError `model-features` where it was made for other features
   * @throws DetectorError `state` or `parameter` where it is no expert
   */
  static fromJSON(json: unknown): Expert {
    return Expert.#restore(json, encoding => Encoding.fromJSON(encoding))
  }

  /** The same for an expert on payloads. */
  static messagesFromJSON(json: unknown): MessageExpert {
    return Expert.#restore(json, encoding => MessageEncoding.fromJSON(encoding))
  }

  static #restore<T>(json: unknown, readEncoding: (json: unknown) => ItemEncoding<T>): Expert<T> {
    const reader = new StateReader(json, 'expert')
    const variant = reader.string('variant')
    if (variant !== 'wire' && variant !== 'broker')
      throw new DetectorError('state', 'expert.variant is neither wire nor broker')
    const encoding = readEncoding(reader.raw('encoding'))
    const scaler = StandardScaler.fromJSON(reader.raw('scaler'))
    const detector = loadDetector(reader.raw('detector'))
    const width = encoding.columns.length
    if (detector.width !== width || scaler.mean.length !== width) {
      throw new DetectorError(
        'state',
        `expert: encoding, scaler and detector have ${width}, ${scaler.mean.length} and ${detector.width} columns`
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
   * @param heldOut whether the items are those of the training, and are to be judged as if they had not been, as far as
   * payloads go
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
   * The features, three at most, that raise the item's score most, the first the most: each is
   * set to its training median alone, and counts by how far the score falls.
   */
  contributions(item: T): ColumnContribution[] {
    const row = this.encoding.encode(item)
    const replaced = this.encoding.columns.map((_, j) => this.scaler.transform(row.with(j, this.medians[j])))
    // Of a score that has reached its end no single feature would seem to matter.
    const [score, ...others] = this.detector.unbounded([this.scaler.transform(row), ...replaced])
    return this.encoding.columns
      .map((feature, j): ColumnContribution => ({
        feature,
        value: this.encoding.shown(item, j, row),
        contribution: score - others[j]
      }))
      .filter(({ contribution }) => contribution > 0)
      .sort((a, b) => b.contribution - a.contribution)
      .slice(0, EXPLAINED)
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

/** What a surprise counts in a mean, in [0, 1]. */
export function probabilityOf(surprise: number): number {
  return Math.min(1, surprise / CERTAIN)
}

/** Maps records a thousand at a time, so that a thread that learns still does its other work. */
async function mapInTurns<T, U>(items: readonly T[], map: (item: T) => U, signal?: AbortSignal): Promise<U[]> {
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
