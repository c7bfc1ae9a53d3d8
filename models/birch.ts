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
  /** Largest radius of a subcluster; 0.2 unless given. Grows where `maxSubclusters` asks for it. */
  threshold?: number
  /** Entries of a tree node at most; 50 unless given. */
  branchingFactor?: number
  /** Subclusters at most; 1,000 unless given. A score costs time in proportion. */
  maxSubclusters?: number
}

/** The parameters' ranges and defaults. */
export const BIRCH_PARAMETERS: ParameterTable<BirchOptions> = {
  ...CENTER_PARAMETERS,
  threshold: { about: 'largest radius of a subcluster, to begin with', default: 0.2, min: 1e-6, max: 1e6 },
  branchingFactor: { about: 'entries of a tree node at most', default: 50, min: 2, max: 1000, integer: true },
  maxSubclusters: { about: 'subclusters at most', default: 1000, min: 2, max: 5000, integer: true }
}

/** How much the threshold grows each time that the tree has grown too large. */
const GROWTH = 1.5

/** Rows inserted between two looks at the clock. */
const TURN_ROWS = 500

/**
 * BIRCH (Zhang, Ramakrishnan and Livny 1996) with scikit-learn's tree. With many columns a small
 * threshold makes nearly every row a subcluster of its own; beyond `maxSubclusters` the tree is
 * therefore built again from its subclusters with a larger threshold, as the authors do.
 *
 * The scores are those of {@link Centers}. A training row scores as if it had not been there, for the
 * distance of a row to a subcluster of its own would be 0, and every new row an outlier.
 */
export class Birch extends CenterDetector<Required<BirchOptions>> {
  readonly kind = 'birch'
  #radius = 0

  constructor(options: BirchOptions = {}) {
    super(BIRCH_PARAMETERS, options)
  }

  /** The detector that `toJSON` saved; throws `DetectorError` where it is not one. */
  static fromJSON(json: DetectorJson): Birch {
    return new Birch(savedParameters(json, 'birch')).restore(json.state)
  }

  /** The threshold that the tree ended with. */
  get radius(): number {
    return this.#radius
  }

  protected async fitScores(data: Matrix, _labels: Uint8Array | undefined, step: Step): Promise<Float64Array> {
    const { branchingFactor, maxSubclusters, score } = this.parameters
    const { rows, width } = data
    let tree = new CfTree(this.parameters.threshold, branchingFactor)
    for (let i = 0; i < rows; i++) {
      if (i % TURN_ROWS === 0) await step(i, rows)
      tree.insert({ size: 1, center: data.data.subarray(i * width, (i + 1) * width), spread: 0 })
      while (tree.size > maxSubclusters) tree = rebuilt(tree)
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
        ? await this.scoreInTurns(data, () => step(rows, rows))
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

/** Distances of training rows, with each row's weight taken out of the subcluster it is nearest to. */
async function scoresWithoutSelf(
  { rows, width, data }: Matrix,
  centers: Centers,
  subclusters: readonly Subcluster[],
  turn: () => Promise<void>
): Promise<Float64Array> {
  const scores = new Float64Array(rows)
  for (let i = 0; i < rows; i++) {
    if (i % TURN_ROWS === 0) await turn()
    const { center, squared } = centers.nearest(data, i * width)
    const { size } = subclusters[center]
    scores[i] =
      size > 1 ? (Math.sqrt(squared) * size) / (size - 1) : Math.sqrt(centers.nearest(data, i * width, center).squared)
  }
  return scores
}

function rebuilt(tree: CfTree): CfTree {
  const larger = new CfTree(tree.threshold * GROWTH, tree.branchingFactor)
  for (const subcluster of tree.subclusters()) larger.insert(subcluster)
  return larger
}

/** 1 for the subclusters of the half that has fewer rows. */
function smallerHalf(subclusters: readonly Subcluster[]): Uint8Array {
  const halves = wardHalves(subclusters.map(({ center }) => center))
  const sizes = [0, 0]
  halves.forEach((half, c) => {
    sizes[half] += subclusters[c].size
  })
  return sizes[1] <= sizes[0] ? halves : halves.map(half => 1 - half)
}
