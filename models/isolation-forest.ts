// Isolation forest: rows that random cuts isolate early are outliers.

import type { DetectorJson } from './detector.js'
import { Forest, Tree } from './forest.js'
import type { Matrix } from './matrix.js'
import { OutlierDetector, savedParameters, type Step } from './outlier-detector.js'
import { DETECTOR_PARAMETERS, type DetectorOptions, type ParameterTable } from './parameters.js'
import { Random } from './random.js'
import type { StateReader } from './state.js'

/** Parameters of {@link IsolationForest}; PyOD's names and defaults. */
export interface IsolationForestOptions extends DetectorOptions {
  /**
   * Number of trees.
   * @default 100
   */
  nEstimators?: number
  /**
   * Rows drawn without replacement for each tree, at most all rows.
   * @default 256
   */
  maxSamples?: number
}

/** The parameters' ranges and defaults. */
export const ISOLATION_FOREST_PARAMETERS: ParameterTable<IsolationForestOptions> = {
  ...DETECTOR_PARAMETERS,
  nEstimators: { about: 'number of trees', default: 100, min: 1, max: 10_000, integer: true },
  maxSamples: { about: 'rows drawn for each tree', default: 256, min: 2, max: 1e6, integer: true }
}

const EULER = 0.5772156649015329

/** Mean path length of an unsuccessful search among n rows (Liu et al. 2008, equation 1). */
function averagePathLength(n: number): number {
  if (n <= 1) return 0
  if (n === 2) return 1
  return 2 * (Math.log(n - 1) + EULER) - (2 * (n - 1)) / n
}

/**
 * Isolation forest (Liu, Ting and Zhou 2008) as in scikit-learn and PyOD. The score is 2^(-mean path length /
 * c(samples)) - 0.5, in [-0.5, 0.5]. Independent of scale. Columns that are constant in training are not used.
 */
export class IsolationForest extends OutlierDetector<Required<IsolationForestOptions>> {
  readonly kind = 'iforest'
  #forest = Forest.empty()
  /** Path length with score 0. */
  #norm = 1

  constructor(options: IsolationForestOptions = {}) {
    super(ISOLATION_FOREST_PARAMETERS, options)
  }

  /** Restores a detector from the result of `toJSON`. Throws `DetectorError` if it is invalid. */
  static fromJSON(json: DetectorJson): IsolationForest {
    return new IsolationForest(savedParameters(json, 'iforest')).restore(json.state)
  }

  protected async fitScores(data: Matrix, _labels: Uint8Array | undefined, step: Step): Promise<Float64Array> {
    const { nEstimators, maxSamples, seed } = this.parameters
    const samples = Math.min(maxSamples, data.rows)
    const random = new Random(seed)
    const order = Uint32Array.from({ length: data.rows }, (_, i) => i)
    const trees: Tree[] = []
    for (let t = 0; t < nEstimators; t++) {
      random.draw(order, samples)
      trees.push(growTree(data, order.slice(0, samples), random))
      await step(t + 1, nEstimators)
    }
    this.#forest = Forest.of(trees, data.width)
    // A single row has no path. Any norm works.
    this.#norm = averagePathLength(samples) || 1
    return this.scoreInChunks(data, () => step(nEstimators, nEstimators))
  }

  protected score(data: Matrix): Float64Array {
    const scale = this.#forest.trees * this.#norm
    return this.#forest.sums(data).map(pathLength => 2 ** (-pathLength / scale) - 0.5)
  }

  protected state(): Record<string, unknown> {
    return { norm: this.#norm, ...this.#forest.state() }
  }

  protected restoreState(reader: StateReader, width: number): void {
    this.#norm = reader.number('norm', Number.MIN_VALUE)
    this.#forest = Forest.restore(reader, this.parameters.nEstimators, width)
  }
}

function growTree({ width, data }: Matrix, sample: Uint32Array, random: Random): Tree {
  const tree = new Tree()
  const depthLimit = Math.ceil(Math.log2(Math.max(2, sample.length)))
  const columns = Uint16Array.from({ length: width }, (_, j) => j)

  /** Draws a column that varies between the rows from `start` to `end`, and a threshold, both at random. */
  function drawCut(start: number, end: number): { column: number; threshold: number } | undefined {
    for (let tried = 0; tried < width; tried++) {
      const pick = tried + random.integer(width - tried)
      const column = columns[pick]
      columns[pick] = columns[tried]
      columns[tried] = column
      let min = Infinity
      let max = -Infinity
      for (let i = start; i < end; i++) {
        const value = data[sample[i] * width + column]
        if (value < min) min = value
        if (value > max) max = value
      }
      if (min < max) {
        const threshold = min + random.uniform() * (max - min)
        // Rounding, or a span above the largest double, could leave one side empty.
        return { column, threshold: threshold >= min && threshold < max ? threshold : min }
      }
    }
    return undefined
  }

  function grow(start: number, end: number, depth: number): void {
    const cut = depth < depthLimit && end - start > 1 ? drawCut(start, end) : undefined
    if (cut === undefined) {
      tree.addLeaf(depth + averagePathLength(end - start))
      return
    }
    const node = tree.addCut(cut.column, cut.threshold)
    let middle = start
    for (let i = start; i < end; i++) {
      const row = sample[i]
      if (data[row * width + cut.column] <= cut.threshold) {
        sample[i] = sample[middle]
        sample[middle++] = row
      }
    }
    grow(start, middle, depth + 1)
    tree.joinRight(node)
    grow(middle, end, depth + 1)
  }

  grow(0, sample.length, 0)
  return tree
}
