// K-means: rows far from every cluster, or in the smallest one, are outliers.

import { CenterDetector, CENTER_PARAMETERS, type CenterOptions } from './center-detector.js'
import type { DetectorJson } from './detector.js'
import { iterateLloyd, seedCenters, type Partition } from './lloyd.js'
import type { Matrix } from './matrix.js'
import { savedParameters, type Step } from './outlier-detector.js'
import type { ParameterTable } from './parameters.js'
import { Random } from './random.js'
import type { StateReader } from './state.js'

/** Parameters of {@link KMeans}; scikit-learn's names. */
export interface KMeansOptions extends CenterOptions {
  /**
   * Number of clusters.
   * @default 2
   */
  nClusters?: number
  /**
   * Runs with different initial centres; the one with the least inertia is used.
   * @default 10
   */
  nInit?: number
  /**
   * Maximum number of iterations per run.
   * @default 300
   */
  maxIter?: number
}

/** The parameters' ranges and defaults. */
export const KMEANS_PARAMETERS: ParameterTable<KMeansOptions> = {
  ...CENTER_PARAMETERS,
  nClusters: { about: 'number of clusters', default: 2, min: 1, max: 1000, integer: true },
  nInit: { about: 'runs with different initial centres', default: 10, min: 1, max: 1000, integer: true },
  maxIter: { about: 'maximum number of iterations per run', default: 300, min: 1, max: 1e6, integer: true }
}

/**
 * K-means (Lloyd 1982) with k-means++ initialisation, as in scikit-learn; PyOD has no equivalent. The scores are those
 * of {@link Centers}. With `score` = `cluster`, the smallest cluster contains the outliers, as in a training set with
 * an attack.
 */
export class KMeans extends CenterDetector<Required<KMeansOptions>> {
  readonly kind = 'kmeans'
  #inertia = 0

  constructor(options: KMeansOptions = {}) {
    super(KMEANS_PARAMETERS, options)
  }

  /** Restores a detector from the result of `toJSON`. Throws `DetectorError` if it is invalid. */
  static fromJSON(json: DetectorJson): KMeans {
    return new KMeans(savedParameters(json, 'kmeans')).restore(json.state)
  }

  /** Sum of the training rows' squared distances to their centres. */
  get inertia(): number {
    return this.#inertia
  }

  protected async fitScores(data: Matrix, _labels: Uint8Array | undefined, step: Step): Promise<Float64Array> {
    const { nClusters, nInit, maxIter, seed, score } = this.parameters
    const random = new Random(seed)
    const count = Math.min(nClusters, data.rows)
    let best: Partition | undefined
    for (let run = 0; run < nInit; run++) {
      const partition = await iterateLloyd(data, seedCenters(data, count, random), maxIter, () => step(run, nInit))
      if (best === undefined || partition.inertia < best.inertia) best = partition
    }
    const { centers, assignment, inertia } = best as Partition
    if (score === 'cluster' && count > 1) centers.outlier[smallest(assignment, count)] = 1
    this.useCenters(centers)
    this.#inertia = inertia
    return this.scoreInChunks(data, () => step(nInit, nInit))
  }

  protected override state(): Record<string, unknown> {
    return { inertia: this.#inertia, ...super.state() }
  }

  protected override restoreState(reader: StateReader, width: number): void {
    this.#inertia = reader.number('inertia', 0)
    super.restoreState(reader, width)
  }
}

function smallest(assignment: Uint32Array, count: number): number {
  const sizes = new Uint32Array(count)
  for (const center of assignment) sizes[center]++
  return sizes.indexOf(Math.min(...sizes))
}
