// One-class support vector machine: rows outside the region of most training rows are outliers.

import type { DetectorJson } from './detector.js'
import { gaussian } from './gaussian.js'
import type { Matrix } from './matrix.js'
import { OutlierDetector, savedParameters, type Step } from './outlier-detector.js'
import { DETECTOR_PARAMETERS, type DetectorOptions, type ParameterTable } from './parameters.js'
import { PointTable } from './point-table.js'
import { Random } from './random.js'
import { solveOneClass } from './smo.js'
import { toBase64, type StateReader } from './state.js'
import { moments } from './statistics.js'

/** Parameters of {@link OneClassSvm}; PyOD's names and defaults. */
export interface OneClassSvmOptions extends DetectorOptions {
  /**
   * Upper bound of the share of training rows outside, lower bound of that of support vectors.
   * @default 0.5
   */
  nu?: number
  /**
   * Gamma of the Gaussian kernel: a number, `auto` = 1 / columns, `scale` = 1 / (columns * variance).
   * @default 'auto'
   */
  gamma?: number | 'auto' | 'scale'
  /**
   * Tolerance of the stopping criterion: violation of the optimality conditions.
   * @default 0.001
   */
  tol?: number
  /**
   * Maximum number of training rows, drawn at random.
   * @default 2000
   */
  maxSamples?: number
}

/** The parameters' ranges and defaults. */
export const ONE_CLASS_SVM_PARAMETERS: ParameterTable<OneClassSvmOptions> = {
  ...DETECTOR_PARAMETERS,
  nu: { about: 'minimum share of support vectors, maximum share of rows outside', default: 0.5, min: 1e-4, max: 1 },
  gamma: {
    about: 'inverse width of the Gaussian kernel',
    default: 'auto',
    choices: ['auto', 'scale'],
    min: 1e-9,
    max: 1e9
  },
  tol: { about: 'tolerance of the stopping criterion', default: 1e-3, min: 1e-9, max: 1 },
  maxSamples: { about: 'maximum number of training rows', default: 2000, min: 2, max: 50_000, integer: true }
}

/**
 * One-class support vector machine (Schoelkopf et al. 2001) with a Gaussian kernel, as in LIBSVM, scikit-learn and
 * PyOD. The score is rho - sum of alpha * kernel, above 0 for rows outside.
 *
 * At least `nu` of the rows are support vectors, and each score evaluates a kernel for every one. So at most
 * `maxSamples` rows are used for training. All training rows are scored to set the threshold.
 */
export class OneClassSvm extends OutlierDetector<Required<OneClassSvmOptions>> {
  readonly kind = 'ocsvm'
  /** Support vectors, flat, and their weights. */
  #vectors = new Float64Array()
  #alpha = new Float64Array()
  /** The support vectors in the layout for scoring. */
  #table: PointTable | undefined
  #rho = 0
  #unboundedTrainingScores: Float64Array | undefined
  #gamma = 0

  constructor(options: OneClassSvmOptions = {}) {
    super(ONE_CLASS_SVM_PARAMETERS, options)
  }

  /** Restores a detector from the result of `toJSON`. Throws `DetectorError` if it is invalid. */
  static fromJSON(json: DetectorJson): OneClassSvm {
    return new OneClassSvm(savedParameters(json, 'ocsvm')).restore(json.state)
  }

  /** Number of support vectors. */
  get supportVectors(): number {
    return this.#alpha.length
  }

  override get unboundedTrainingScores(): Float64Array | undefined {
    return this.#unboundedTrainingScores
  }

  protected async fitScores(data: Matrix, _labels: Uint8Array | undefined, step: Step): Promise<Float64Array> {
    const { nu, gamma, tol, maxSamples, seed } = this.parameters
    this.#unboundedTrainingScores = undefined
    const sample = drawRows(data, maxSamples, new Random(seed))
    this.#gamma = gammaOf(gamma, sample)
    // The violation decreases from about `rows` to `tol`, roughly by powers of ten.
    let done = 0
    const { alpha, rho } = await solveOneClass(sample, this.#gamma, nu, tol, violation => {
      if (Number.isFinite(violation))
        done = Math.max(done, Math.min(0.9, 1 - Math.log(violation / tol) / Math.log(sample.rows / tol)))
      return step(done, 1)
    })
    const { width } = sample
    const support = [...alpha.keys()].filter(i => alpha[i] > 0)
    this.#alpha = Float64Array.from(support, i => alpha[i])
    this.#vectors = new Float64Array(support.length * width)
    this.#table = undefined
    support.forEach((i, v) => {
      this.#vectors.set(sample.data.subarray(i * width, (i + 1) * width), v * width)
    })
    this.#rho = rho
    this.#unboundedTrainingScores = await this.scoreInChunks(
      data,
      () => step(done, 1),
      part => this.scoreUnbounded(part)
    )
    await step(1, 1)
    return this.#bounded(this.#unboundedTrainingScores)
  }

  protected score(data: Matrix): Float64Array {
    return this.#bounded(this.scoreUnbounded(data))
  }

  /**
   * Far from all support vectors the score only approaches rho. The sum of the kernels falls like a density, and its
   * negative logarithm grows with the squared distance. It is computed relative to the nearest support vector, so that
   * no sum underflows.
   */
  protected override scoreUnbounded({ rows, width, data }: Matrix): Float64Array {
    const alpha = this.#alpha
    const gamma = this.#gamma
    const table = (this.#table ??= new PointTable(this.#vectors, width))
    const scores = new Float64Array(rows)
    for (let i = 0; i < rows; i++) {
      const distances = table.squaredDistances(data, i * width)
      let nearest = Infinity
      for (let v = 0; v < alpha.length; v++) if (distances[v] < nearest) nearest = distances[v]
      let sum = 0
      for (let v = 0; v < alpha.length; v++) sum += alpha[v] * gaussian(gamma, distances[v] - nearest)
      scores[i] = gamma * nearest - Math.log(sum)
    }
    return scores
  }

  #bounded(unbounded: Float64Array): Float64Array {
    return unbounded.map(score => this.#rho - Math.exp(-score))
  }

  protected state(): Record<string, unknown> {
    return { gamma: this.#gamma, rho: this.#rho, alpha: toBase64(this.#alpha), vectors: toBase64(this.#vectors) }
  }

  protected restoreState(reader: StateReader, width: number): void {
    this.#gamma = reader.number('gamma', 0)
    this.#rho = reader.number('rho')
    this.#alpha = reader.array('alpha', Float64Array)
    this.#vectors = reader.array('vectors', Float64Array, this.#alpha.length * width)
  }
}

/** Draws at most `count` rows. Keeps their order if all are used. */
function drawRows(data: Matrix, count: number, random: Random): Matrix {
  const { rows, width } = data
  if (rows <= count) return data
  const order = Uint32Array.from({ length: rows }, (_, i) => i)
  random.draw(order, count)
  const drawn = new Float64Array(count * width)
  for (let i = 0; i < count; i++) drawn.set(data.data.subarray(order[i] * width, (order[i] + 1) * width), i * width)
  return { rows: count, width, data: drawn }
}

function gammaOf(gamma: number | 'auto' | 'scale', { width, data }: Matrix): number {
  if (typeof gamma === 'number') return gamma
  const variance = gamma === 'scale' ? moments(data).deviation ** 2 : 1
  return 1 / (width * (variance > 0 ? variance : 1))
}
