// One-class support vector machine: rows outside the region that holds most of the training rows are outliers.

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
  /** Upper bound of the share of training rows outside, lower bound of that of support vectors; 0.5 unless given. */
  nu?: number
  /**
   * Of the Gaussian kernel: a number, `auto` = 1 / columns, `scale` = 1 / (columns * variance); `auto` unless given.
   */
  gamma?: number | 'auto' | 'scale'
  /** Violation of the optimality conditions at which to stop; 0.001 unless given. */
  tol?: number
  /** Training rows at most, drawn at random from those there are; 2,000 unless given. */
  maxSamples?: number
}

/** The parameters' ranges and defaults. */
export const ONE_CLASS_SVM_PARAMETERS: ParameterTable<OneClassSvmOptions> = {
  ...DETECTOR_PARAMETERS,
  nu: { about: 'share of support vectors at least, of rows outside at most', default: 0.5, min: 1e-4, max: 1 },
  gamma: {
    about: 'inverse width of the Gaussian kernel',
    default: 'auto',
    choices: ['auto', 'scale'],
    min: 1e-9,
    max: 1e9
  },
  tol: { about: 'violation of optimality at which to stop', default: 1e-3, min: 1e-9, max: 1 },
  maxSamples: { about: 'training rows drawn at most', default: 2000, min: 2, max: 50_000, integer: true }
}

/**
 * One-class support vector machine (Schoelkopf et al. 2001) with a Gaussian kernel, as LIBSVM,
 * scikit-learn and PyOD have it: the score is rho - sum of alpha * kernel, above 0 for rows outside.
 *
 * Support vectors are at least `nu` of the rows, and each costs every score a kernel; so no more than
 * `maxSamples` rows are trained on. All training rows are scored, and the threshold is theirs.
 */
export class OneClassSvm extends OutlierDetector<Required<OneClassSvmOptions>> {
  readonly kind = 'ocsvm'
  /** Support vectors, flat, and the weight of each. */
  #vectors = new Float64Array()
  #alpha = new Float64Array()
  /** The support vectors once more, laid out for scoring. */
  #table: PointTable | undefined
  #rho = 0
  #unboundedTrainingScores: Float64Array | undefined
  #gamma = 0

  constructor(options: OneClassSvmOptions = {}) {
    super(ONE_CLASS_SVM_PARAMETERS, options)
  }

  /** The detector that `toJSON` saved; throws `DetectorError` where it is not one. */
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
    // The violation falls from about rows to `tol`, roughly by powers of ten.
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
    this.#unboundedTrainingScores = await this.scoreInTurns(
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
   * Far from all support vectors a score only draws near to rho. The sum of the kernels falls like a density, and its
   * negative logarithm grows with the squared distance; taken relative to the nearest support vector no sum vanishes.
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

/** At most `count` rows, in their order where all are taken. */
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
