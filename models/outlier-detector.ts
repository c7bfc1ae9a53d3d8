// Base of all detectors, modelled on PyOD's BaseDetector: validation, threshold, probabilities, JSON.

import {
  DetectorError,
  type Detector,
  type DetectorJson,
  type FitOptions,
  type FitProgress,
  type ProbabilityMethod,
  type Rows
} from './detector.js'
import { toMatrix, type Matrix } from './matrix.js'
import { resolveParameters, type DetectorOptions, type ParameterTable } from './parameters.js'
import { StateReader } from './state.js'
import { erf, moments, percentile, type Moments } from './statistics.js'

/** Reports progress, yields to the event loop from time to time, and throws if `fit` is aborted. */
export type Step = (done: number, total: number, loss?: number) => Promise<void>

/** Milliseconds of work between two yields to the event loop. */
const YIELD_INTERVAL_MS = 20

/** Rows scored between two calls of `step`. */
const CHUNK_ROWS = 1000

/** Maximum number of rows whose buffer is kept between calls. */
const BUFFER_ROWS = 1024

interface Fitted {
  width: number
  threshold: number
  scores: Moments
}

/**
 * Base of all detectors. A subclass defines its name and parameters, trains in `fitScores`, scores in `score`, and
 * saves and restores its state in `state` and `restoreState`.
 */
export abstract class OutlierDetector<
  T extends Required<DetectorOptions> = Required<DetectorOptions>
> implements Detector {
  abstract readonly kind: string
  /** The effective parameters. */
  readonly parameters: Readonly<T>
  #fitted: Fitted | undefined
  #trainingScores: Float64Array | undefined
  /** Buffer of the last call's rows, reused by the next call. */
  #buffer: Float64Array = new Float64Array(0)

  /** @throws DetectorError `parameter` for an unknown name or a value out of range */
  constructor(table: ParameterTable<T>, given: Partial<T>) {
    this.parameters = Object.freeze(resolveParameters(table, given))
  }

  /** Trains on validated rows and returns their scores. `labels` contains 0 and 1. */
  protected abstract fitScores(data: Matrix, labels: Uint8Array | undefined, step: Step): Promise<Float64Array>

  /** Scores validated rows of the fitted width. A row's score must depend on that row only. */
  protected abstract score(data: Matrix): Float64Array

  /** Like `score`, on an unbounded scale. Override it if `score` is bounded. */
  protected scoreUnbounded(data: Matrix): Float64Array {
    return this.score(data)
  }

  /** Returns what `restoreState` needs to score identically, as plain JSON. */
  protected abstract state(): Record<string, unknown>

  /** Restores the result of `state`, or throws `DetectorError('state')`. */
  protected abstract restoreState(reader: StateReader, width: number): void

  get contamination(): number {
    return this.parameters.contamination
  }

  get width(): number | undefined {
    return this.#fitted?.width
  }

  get threshold(): number {
    return this.#requireFitted().threshold
  }

  /** Scores of the training rows, PyOD's `decision_scores_`. Undefined before `fit` and after loading. */
  get trainingScores(): Float64Array | undefined {
    return this.#trainingScores
  }

  async fit(rows: Rows, labels?: ArrayLike<number>, options: FitOptions = {}): Promise<void> {
    this.#fitted = undefined
    this.#trainingScores = undefined
    options.signal?.throwIfAborted()
    const data = toMatrix(rows)
    if (data.rows === 0 || data.width === 0) throw new DetectorError('rows', 'there are no training rows')
    const scores = await this.fitScores(data, checkLabels(labels, data.rows), createStep(options))
    options.signal?.throwIfAborted()
    this.#trainingScores = scores
    this.#fitted = {
      width: data.width,
      threshold: this.thresholdOf(scores),
      scores: moments(scores)
    }
  }

  /** {@link trainingScores} on the scale of {@link unbounded}. */
  get unboundedTrainingScores(): Float64Array | undefined {
    return this.#trainingScores
  }

  decisionFunction(rows: Rows): Float64Array {
    return this.score(this.#matrixOf(rows))
  }

  /** Returns scores on an unbounded scale in the same order, for comparison across detectors. */
  unbounded(rows: Rows): Float64Array {
    return this.scoreUnbounded(this.#matrixOf(rows))
  }

  predict(rows: Rows): Uint8Array {
    const { threshold } = this.#requireFitted()
    return Uint8Array.from(this.decisionFunction(rows), score => Number(score > threshold))
  }

  predictProba(rows: Rows, method: ProbabilityMethod = 'linear'): Float64Array {
    return this.probabilities(this.decisionFunction(rows), method)
  }

  /** Converts scores of `decisionFunction` to probabilities in [0, 1]. */
  probabilities(scores: Float64Array, method: ProbabilityMethod = 'linear'): Float64Array {
    const { min, max, mean, deviation } = this.#requireFitted().scores
    // If all training scores are equal, PyOD divides by 1 in `linear` and by 0 in `unify`. 1 works for both.
    const span = max > min ? max - min : 1
    const width = deviation > 0 ? deviation : 1
    return scores.map(score =>
      Math.min(1, Math.max(0, method === 'linear' ? (score - min) / span : erf((score - mean) / (width * Math.SQRT2))))
    )
  }

  toJSON(): DetectorJson {
    const { width, threshold, scores } = this.#requireFitted()
    return {
      kind: this.kind,
      state: { parameters: { ...this.parameters }, width, threshold, scores: { ...scores }, ...this.state() }
    }
  }

  /**
   * Restores the state of a fitted detector with the same kind and parameters.
   *
   * @throws DetectorError `state` if it is invalid
   */
  protected restore(state: unknown): this {
    const reader = new StateReader(state, this.kind)
    const width = reader.integer('width', 1, 1e6)
    const threshold = reader.number('threshold')
    const scores = reader.object('scores')
    this.restoreState(reader, width)
    this.#fitted = {
      width,
      threshold,
      scores: {
        min: scores.number('min'),
        max: scores.number('max'),
        mean: scores.number('mean'),
        deviation: scores.number('deviation', 0)
      }
    }
    return this
  }

  /** Scores many rows in chunks and calls `turn` after each. Use it at the end of `fitScores`. */
  protected async scoreInChunks(
    { rows, width, data }: Matrix,
    turn: () => Promise<void>,
    score = (part: Matrix): Float64Array => this.score(part)
  ): Promise<Float64Array> {
    const scores = new Float64Array(rows)
    for (let start = 0; start < rows; start += CHUNK_ROWS) {
      const end = Math.min(rows, start + CHUNK_ROWS)
      scores.set(score({ rows: end - start, width, data: data.subarray(start * width, end * width) }), start)
      await turn()
    }
    return scores
  }

  /** Returns the score above which a row is an outlier. */
  protected thresholdOf(trainingScores: Float64Array): number {
    return percentile(trainingScores, 100 * (1 - this.contamination))
  }

  #matrixOf(rows: Rows): Matrix {
    const matrix = toMatrix(rows, this.#requireFitted().width, this.#buffer)
    if (rows.length <= BUFFER_ROWS) this.#buffer = matrix.data
    return matrix
  }

  #requireFitted(): Fitted {
    if (this.#fitted === undefined) throw new DetectorError('unfitted', `detector ${this.kind} is not fitted`)
    return this.#fitted
  }
}

/**
 * Returns the parameters of a saved detector after checking its kind.
 *
 * @throws DetectorError `state` if it is of another kind
 */
export function savedParameters(json: DetectorJson, kind: string): object {
  const reader = new StateReader(json, 'detector')
  if (reader.string('kind') !== kind)
    throw new DetectorError('state', `expected detector ${kind}, not ${reader.string('kind')}`)
  const state = reader.object('state')
  // Checks only that it is an object. The constructor checks its fields.
  state.object('parameters')
  return state.raw('parameters') as object
}

function checkLabels(labels: ArrayLike<number> | undefined, rows: number): Uint8Array | undefined {
  if (labels === undefined) return undefined
  if (labels.length !== rows) throw new DetectorError('labels', `${labels.length} labels for ${rows} rows`)
  return Uint8Array.from(labels, (label, i) => {
    if (label !== 0 && label !== 1) throw new DetectorError('labels', `label ${i} must be 0 or 1, not ${label}`)
    return label
  })
}

function createStep({ onProgress, signal }: FitOptions): Step {
  let lastYield = performance.now()
  return async (done, total, loss) => {
    const progress: FitProgress = { done, total }
    if (loss !== undefined) progress.loss = loss
    onProgress?.(progress)
    if (performance.now() - lastYield > YIELD_INTERVAL_MS) {
      await new Promise(resolve => setImmediate(resolve))
      lastYield = performance.now()
    }
    signal?.throwIfAborted()
  }
}
