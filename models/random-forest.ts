// Random forest: trees trained on labels vote on whether a row is an outlier.

import { growClassificationTree, rankRows } from './cart.js'
import { DetectorError, type DetectorJson } from './detector.js'
import { Forest, type Tree } from './forest.js'
import type { Matrix } from './matrix.js'
import { OutlierDetector, savedParameters, type Step } from './outlier-detector.js'
import { DETECTOR_PARAMETERS, type DetectorOptions, type ParameterTable } from './parameters.js'
import { Random } from './random.js'
import type { StateReader } from './state.js'

/** Parameters of {@link RandomForest}; scikit-learn's names and defaults. */
export interface RandomForestOptions extends DetectorOptions {
  /**
   * Number of trees.
   * @default 100
   */
  nEstimators?: number
}

/** The parameters' ranges and defaults. */
export const RANDOM_FOREST_PARAMETERS: ParameterTable<RandomForestOptions> = {
  ...DETECTOR_PARAMETERS,
  nEstimators: { about: 'number of trees', default: 100, min: 1, max: 10_000, integer: true }
}

/**
 * Random forest (Breiman 2001) as scikit-learn's classifier: each tree grows to full depth on a bootstrap sample and
 * tries the square root of the number of columns at each node. The score is the mean share of outliers in the leaves,
 * in [0, 1]. The threshold is 0.5, a majority. `contamination` has no effect.
 *
 * A training row is scored only by the trees that were not trained on it, because the others have memorised it.
 */
export class RandomForest extends OutlierDetector<Required<RandomForestOptions>> {
  readonly kind = 'random-forest'
  #forest = Forest.empty()

  constructor(options: RandomForestOptions = {}) {
    super(RANDOM_FOREST_PARAMETERS, options)
  }

  /** Restores a detector from the result of `toJSON`. Throws `DetectorError` if it is invalid. */
  static fromJSON(json: DetectorJson): RandomForest {
    return new RandomForest(savedParameters(json, 'random-forest')).restore(json.state)
  }

  protected async fitScores(data: Matrix, labels: Uint8Array | undefined, step: Step): Promise<Float64Array> {
    if (labels === undefined || !labels.includes(0) || !labels.includes(1)) {
      throw new DetectorError('labels', 'random forest needs labels of both kinds, 0 and 1')
    }
    const { nEstimators, seed } = this.parameters
    const { rows, width } = data
    const random = new Random(seed)
    const ranked = rankRows(data, labels)
    const tried = Math.floor(Math.sqrt(width))
    const trees: Tree[] = []
    const votes = new OutOfBagVotes(rows)
    for (let t = 0; t < nEstimators; t++) {
      const sample = Uint32Array.from({ length: rows }, () => random.integer(rows))
      const unseen = new Uint8Array(rows).fill(1)
      for (const row of sample) unseen[row] = 0
      const tree = growClassificationTree(ranked, sample, tried, random)
      votes.add(Forest.of([tree], width).sums(data), unseen)
      trees.push(tree)
      await step(t + 1, nEstimators)
    }
    this.#forest = Forest.of(trees, width)
    return votes.means()
  }

  protected score(data: Matrix): Float64Array {
    const { trees } = this.#forest
    return this.#forest.sums(data).map(sum => sum / trees)
  }

  protected override thresholdOf(): number {
    return 0.5
  }

  protected state(): Record<string, unknown> {
    return this.#forest.state()
  }

  protected restoreState(reader: StateReader, width: number): void {
    this.#forest = Forest.restore(reader, this.parameters.nEstimators, width)
  }
}

/** The mean vote on each row of the trees that were not trained on it; of all trees if every tree was. */
class OutOfBagVotes {
  readonly #outside: Float64Array
  readonly #counts: Uint32Array
  readonly #all: Float64Array
  #trees = 0

  constructor(rows: number) {
    this.#outside = new Float64Array(rows)
    this.#counts = new Uint32Array(rows)
    this.#all = new Float64Array(rows)
  }

  add(votes: Float64Array, unseen: Uint8Array): void {
    this.#trees++
    votes.forEach((vote, i) => {
      this.#all[i] += vote
      this.#outside[i] += vote * unseen[i]
      this.#counts[i] += unseen[i]
    })
  }

  means(): Float64Array {
    return this.#outside.map((sum, i) => (this.#counts[i] > 0 ? sum / this.#counts[i] : this.#all[i] / this.#trees))
  }
}
