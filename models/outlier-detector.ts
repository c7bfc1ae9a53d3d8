// What all detectors have in common, after PyOD's BaseDetector: checks, threshold, probabilities, JSON.

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

/** Reports progress, gives the event loop its turn now and then, and throws once `fit` is aborted. */
export type Step = (done: number, total: number, loss?: number) => Promise<void>

/** Milliseconds of work between two turns of the event loop. */
const TURN_MS = 20

/** Rows scored between two looks at the clock. */
const TURN_ROWS = 1000

/** Rows for which room is kept between two calls. */
const KEPT_ROWS = 1024

interface Fitted {
  width: number
  threshold: number
  scores: Moments
}

/**
 * The base of every detector. A subclass names itself and its parameters, learns in `fitScores`,
 * scores in `score`, and saves and loads what it learnt in `state` and `restoreState`.
 */
export abstract class OutlierDetector<
  T extends Required<DetectorOptions> = Required<DetectorOptions>
> implements Detector {
  abstract readonly kind: string
  /** The parameters in force. */
  readonly parameters: Readonly<T>
  #fitted: Fitted | undefined
  #trainingScores: Float64Array | undefined
  /** The rows of the last call, whose place the next ones take. */
  #room: Float64Array = new Float64Array(0)

  /** @throws DetectorError `parameter` for an unknown name or a value out of range */
  constructor(table: ParameterTable<T>, given: Partial<T>) {
    this.parameters = Object.freeze(resolveParameters(table, given))
  }

  /** Learns from checked rows and returns their scores; `labels` holds 0 and 1. */
  protected abstract fitScores(data: Matrix, labels: Uint8Array | undefined, step: Step): Promise<Float64Array>

  /** Scores checked rows of the fitted width; a row's score may depend on that row only. */
  protected abstract score(data: Matrix): Float64Array

  /** `score` on a scale without an upper end; to be overridden where a score has one. */
  protected scoreUnbounded(data: Matrix): Float64Array {
    return this.score(data)
  }

  /** What `restoreState` needs to score identically, as plain JSON. */
  protected abstract state(): Record<string, unknown>

  /** Takes over what `state` gave, or throws `DetectorError('state')`. */
  protected abstract restoreState(reader: StateReader, width: number): void

  get contamination(): number {
    return this.parameters.contamination
  }

  get width(): number | undefined {
    return this.#fitted?.width
  }

  get threshold(): number {
    return this.#needFitted().threshold
  }

  /** Scores of the training rows, PyOD's `decision_scores_`; undefined before `fit` and after loading. */
  get trainingScores(): Float64Array | undefined {
    return this.#trainingScores
  }

  async fit(rows: Rows, labels?: ArrayLike<number>, options: FitOptions = {}): Promise<void> {
    this.#fitted = undefined
    this.#trainingScores = undefined
    options.signal?.throwIfAborted()
    const data = toMatrix(rows)
    if (data.rows === 0 || data.width === 0) throw new DetectorError('rows', 'there is nothing to learn from')
    const scores = await this.fitScores(data, checkLabels(labels, data.rows), pacedStep(options))
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

  /** Scores on a scale without an upper end, in the same order, for whoever compares those of several detectors. */
  unbounded(rows: Rows): Float64Array {
    return this.scoreUnbounded(this.#matrixOf(rows))
  }

  predict(rows: Rows): Uint8Array {
    const { threshold } = this.#needFitted()
    return Uint8Array.from(this.decisionFunction(rows), score => Number(score > threshold))
  }

  predictProba(rows: Rows, method: ProbabilityMethod = 'linear'): Float64Array {
    return this.probabilities(this.decisionFunction(rows), method)
  }

  /** The probabilities that belong to scores of `decisionFunction`, in [0, 1]. */
  probabilities(scores: Float64Array, method: ProbabilityMethod = 'linear'): Float64Array {
    const { min, max, mean, deviation } = this.#needFitted().scores
    // Training scores without any spread: PyOD divides by 1 in `linear`, and by 0 in `unify`; 1 serves both.
    const span = max > min ? max - min : 1
    const width = deviation > 0 ? deviation : 1
    return scores.map(score =>
      Math.min(1, Math.max(0, method === 'linear' ? (score - min) / span : erf((score - mean) / (width * Math.SQRT2))))
    )
  }

  toJSON(): DetectorJson {
    const { width, threshold, scores } = this.#needFitted()
    return {
      kind: this.kind,
      state: { parameters: { ...this.parameters }, width, threshold, scores: { ...scores }, ...this.state() }
    }
  }

  /**
   * Takes over the state of a fitted detector of the same kind and parameters.
   * @throws DetectorError `state` where it does not fit
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

  /** The scores of many rows, with a turn for others between; for use at the end of `fitScores`. */
  protected async scoreInTurns(
    { rows, width, data }: Matrix,
    turn: () => Promise<void>,
    score = (part: Matrix): Float64Array => this.score(part)
  ): Promise<Float64Array> {
    const scores = new Float64Array(rows)
    for (let start = 0; start < rows; start += TURN_ROWS) {
      const end = Math.min(rows, start + TURN_ROWS)
      scores.set(score({ rows: end - start, width, data: data.subarray(start * width, end * width) }), start)
      await turn()
    }
    return scores
  }

  /** The score above which a row is an outlier. */
  protected thresholdOf(trainingScores: Float64Array): number {
    return percentile(trainingScores, 100 * (1 - this.contamination))
  }

  #matrixOf(rows: Rows): Matrix {
    const matrix = toMatrix(rows, this.#needFitted().width, this.#room)
    if (rows.length <= KEPT_ROWS) this.#room = matrix.data
    return matrix
  }

  #needFitted(): Fitted {
    if (this.#fitted === undefined) throw new DetectorError('unfitted', `the detector ${this.kind} has not been fitted`)
    return this.#fitted
  }
}

/**
 * The parameters in a saved detector, once it is sure that it is of the kind.
 * @throws DetectorError `state` where it is not
 */
export function savedParameters(json: DetectorJson, kind: string): object {
  const reader = new StateReader(json, 'detector')
  if (reader.string('kind') !== kind)
    throw new DetectorError('state', `this is a detector ${reader.string('kind')}, not ${kind}`)
  const state = reader.object('state')
  // An object at all; which fields it may have, the constructor checks.
  state.object('parameters')
  return state.raw('parameters') as object
}

function checkLabels(labels: ArrayLike<number> | undefined, rows: number): Uint8Array | undefined {
  if (labels === undefined) return undefined
  if (labels.length !== rows) throw new DetectorError('labels', `there are ${labels.length} labels for ${rows} rows`)
  return Uint8Array.from(labels, (label, i) => {
    if (label !== 0 && label !== 1) throw new DetectorError('labels', `label ${i} is ${label}, neither 0 nor 1`)
    return label
  })
}

function pacedStep({ onProgress, signal }: FitOptions): Step {
  let turn = performance.now()
  return async (done, total, loss) => {
    const progress: FitProgress = { done, total }
    if (loss !== undefined) progress.loss = loss
    onProgress?.(progress)
    if (performance.now() - turn > TURN_MS) {
      await new Promise(resolve => setImmediate(resolve))
      turn = performance.now()
    }
    signal?.throwIfAborted()
  }
}
