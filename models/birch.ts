// BIRCH: rows far from every subcluster of the training rows, or in the smaller group, are outliers.

import { CenterDetector, CENTER_PARAMETERS, type CenterOptions } from './center-detector.js'
import { Centers } from './centers.js'
import { CfTree, type Subcluster } from './cf-tree.js'
import type { DetectorJson } from './detector.js'
import type { Matrix } from './matrix.js'
import { savedParameters, type Step } from './outlier-detector.js'
import type { ParameterTable } from './parameters.js'
import type { StateReader } from './state.js'
import { wardHalves } from './ward.js'

/** Parameters of {@link Birch}; scikit-learn's names, the paper's threshold. */
export interface BirchOptions extends CenterOptions {
  /**
   * Maximum radius of a subcluster. Increased if there are more than `maxSubclusters`.
   * @default 0.2
   */
  threshold?: number
  /**
   * Maximum number of entries of a tree node.
   * @default 50
   */
  branchingFactor?: number
  /**
   * Maximum number of subclusters. The time of a score is proportional to it.
   * @default 1000
   */
  maxSubclusters?: number
}

/** The parameters' ranges and defaults. */
export const BIRCH_PARAMETERS: ParameterTable<BirchOptions> = {
  ...CENTER_PARAMETERS,
  threshold: { about: 'initial maximum radius of a subcluster', default: 0.2, min: 1e-6, max: 1e6 },
  branchingFactor: { about: 'maximum number of entries of a tree node', default: 50, min: 2, max: 1000, integer: true },
  maxSubclusters: { about: 'maximum number of subclusters', default: 1000, min: 2, max: 5000, integer: true }
}

/** Factor of the threshold each time the tree grows too large. */
const GROWTH = 1.5

/** Rows inserted between two calls of `step`. */
const STEP_ROWS = 500

/**
 * BIRCH (Zhang, Ramakrishnan and Livny 1996) with scikit-learn's tree. With many columns, a small threshold puts nearly
 * every row into its own subcluster. Beyond `maxSubclusters`, the tree is therefore rebuilt from its subclusters with a
 * larger threshold, as the authors do.
 *
 * The scores are those of {@link Centers}. A training row is scored as if it were not in the tree: the distance to its
 * own subcluster would be 0, and every new row would be an outlier.
 */
export class Birch extends CenterDetector<Required<BirchOptions>> {
  readonly kind = 'birch'
  #radius = 0

  constructor(options: BirchOptions = {}) {
    super(BIRCH_PARAMETERS, options)
  }

  /** Restores a detector from the result of `toJSON`. Throws `DetectorError` if it is invalid. */
  static fromJSON(json: DetectorJson): Birch {
    return new Birch(savedParameters(json, 'birch')).restore(json.state)
  }

  /** The final threshold of the tree. */
  get radius(): number {
    return this.#radius
  }

  protected async fitScores(data: Matrix, _labels: Uint8Array | undefined, step: Step): Promise<Float64Array> {
    const { branchingFactor, maxSubclusters, score } = this.parameters
    const { rows, width } = data
    let tree = new CfTree(this.parameters.threshold, branchingFactor)
    for (let i = 0; i < rows; i++) {
      if (i % STEP_ROWS === 0) await step(i, rows)
      tree.insert({ size: 1, center: data.data.subarray(i * width, (i + 1) * width), spread: 0 })
      while (tree.size > maxSubclusters) tree = rebuild(tree)
    }
    const subclusters = [...tree.subclusters()]
    const points = new Float64Array(subclusters.length * width)
    subclusters.forEach(({ center }, c) => {
      points.set(center, c * width)
    })
    const outlier =
      score === 'cluster' && subclusters.length > 1 ? smallerHalf(subclusters) : new Uint8Array(subclusters.length)
    const centers = new Centers(subclusters.length, width, points, outlier)
    this.useCenters(centers)
    this.#radius = tree.threshold
    const scores =
      score === 'cluster'
        ? await this.scoreInChunks(data, () => step(rows, rows))
        : await scoresWithoutSelf(data, centers, subclusters, () => step(rows, rows))
    await step(rows, rows)
    return scores
  }

  protected override state(): Record<string, unknown> {
    return { radius: this.#radius, ...super.state() }
  }

  protected override restoreState(reader: StateReader, width: number): void {
    this.#radius = reader.number('radius', 0)
    super.restoreState(reader, width)
  }
}

/** Returns the distances of the training rows, with each row removed from its nearest subcluster. */
async function scoresWithoutSelf(
  { rows, width, data }: Matrix,
  centers: Centers,
  subclusters: readonly Subcluster[],
  turn: () => Promise<void>
): Promise<Float64Array> {
  const scores = new Float64Array(rows)
  for (let i = 0; i < rows; i++) {
    if (i % STEP_ROWS === 0) await turn()
    const { center, squared } = centers.nearest(data, i * width)
    const { size } = subclusters[center]
    scores[i] =
      size > 1 ? (Math.sqrt(squared) * size) / (size - 1) : Math.sqrt(centers.nearest(data, i * width, center).squared)
  }
  return scores
}

function rebuild(tree: CfTree): CfTree {
  const larger = new CfTree(tree.threshold * GROWTH, tree.branchingFactor)
  for (const subcluster of tree.subclusters()) larger.insert(subcluster)
  return larger
}

/** Returns 1 for the subclusters of the half with fewer rows. */
function smallerHalf(subclusters: readonly Subcluster[]): Uint8Array {
  const halves = wardHalves(subclusters.map(({ center }) => center))
  const sizes = [0, 0]
  halves.forEach((half, c) => {
    sizes[half] += subclusters[c].size
  })
  return sizes[1] <= sizes[0] ? halves : halves.map(half => 1 - half)
}
