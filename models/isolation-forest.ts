// Isolation forest: rows that random cuts set apart early are outliers.

import { DetectorError, type DetectorJson } from './detector.js'
import type { Matrix } from './matrix.js'
import { OutlierDetector, savedParameters, type Step } from './outlier-detector.js'
import { DETECTOR_PARAMETERS, type DetectorOptions, type ParameterTable } from './parameters.js'
import { Random } from './random.js'
import { toBase64, type StateReader } from './state.js'

/** Parameters of {@link IsolationForest}; PyOD's names and defaults. */
export interface IsolationForestOptions extends DetectorOptions {
  /** Number of trees; 100 unless given. */
  nEstimators?: number
  /** Rows drawn without replacement for each tree, at most those there are; 256 unless given. */
  maxSamples?: number
}

/** The parameters' ranges and defaults. */
export const ISOLATION_FOREST_PARAMETERS: ParameterTable<IsolationForestOptions> = {
  ...DETECTOR_PARAMETERS,
  nEstimators: { about: 'number of trees', default: 100, min: 1, max: 10_000, integer: true },
  maxSamples: { about: 'rows drawn for each tree', default: 256, min: 2, max: 1e6, integer: true }
}

/** Rows that go down one tree before the next tree's turn: tree and rows then stay in the fast cache. */
const BLOCK_ROWS = 64

const EULER = 0.5772156649015329

/** Mean path length of an unsuccessful search among n rows (Liu et al. 2008, equation 1). */
function averagePathLength (n: number): number {
  if (n <= 1) return 0
  if (n === 2) return 1
  return 2 * (Math.log(n - 1) + EULER) - 2 * (n - 1) / n
}

/**
 * Isolation forest (Liu, Ting and Zhou 2008) as in scikit-learn and PyOD: the score is
 * 2^(-mean path length / c(samples)) - 0.5, in [-0.5, 0.5]. Scale plays no part, and a column that
 * is constant in training is never looked at.
 */
export class IsolationForest extends OutlierDetector<Required<IsolationForestOptions>> {
  readonly kind = 'iforest'
  /** First node of each tree, and the number of nodes. A node's left child is the next node. */
  #roots = new Uint32Array(1)
  /** Right child of a node, counted from the forest's first; 0 for a leaf. */
  #right = new Uint32Array()
  #column = new Uint16Array()
  /** Greatest value that goes left, or a leaf's path length. */
  #value = new Float64Array()
  /** Path length that scores 0. */
  #norm = 1

  constructor (options: IsolationForestOptions = {}) {
    super(ISOLATION_FOREST_PARAMETERS, options)
  }

  /** The detector that `toJSON` saved; throws `DetectorError` where it is not one. */
  static fromJSON (json: DetectorJson): IsolationForest {
    return new IsolationForest(savedParameters(json, 'iforest')).restore(json.state)
  }

  protected async fitScores (data: Matrix, _labels: Uint8Array | undefined, step: Step): Promise<Float64Array> {
    const { nEstimators, maxSamples, seed } = this.parameters
    if (data.width > 0xffff) throw new DetectorError('width', `an isolation forest takes at most 65535 columns, not ${data.width}`)
    const samples = Math.min(maxSamples, data.rows)
    const random = new Random(seed)
    const order = Uint32Array.from({ length: data.rows }, (_, i) => i)
    const trees: Tree[] = []
    for (let t = 0; t < nEstimators; t++) {
      random.draw(order, samples)
      trees.push(growTree(data, order.slice(0, samples), random))
      await step(t + 1, nEstimators)
    }
    this.#join(trees)
    // One row alone has no path; any norm will do.
    this.#norm = averagePathLength(samples) || 1
    return this.score(data)
  }

  protected score ({ rows, width, data }: Matrix): Float64Array {
    const roots = this.#roots
    const right = this.#right
    const column = this.#column
    const value = this.#value
    const trees = roots.length - 1
    const scores = new Float64Array(rows)
    for (let start = 0; start < rows; start += BLOCK_ROWS) {
      const end = Math.min(rows, start + BLOCK_ROWS)
      for (let t = 0; t < trees; t++) {
        for (let i = start; i < end; i++) {
          const base = i * width
          let node = roots[t]
          for (let next = right[node]; next !== 0; next = right[node]) {
            node = data[base + column[node]] <= value[node] ? node + 1 : next
          }
          scores[i] += value[node]
        }
      }
    }
    const scale = trees * this.#norm
    return scores.map((pathLength) => 2 ** (-pathLength / scale) - 0.5)
  }

  protected state (): Record<string, unknown> {
    return {
      norm: this.#norm,
      roots: toBase64(this.#roots),
      right: toBase64(this.#right),
      column: toBase64(this.#column),
      value: toBase64(this.#value)
    }
  }

  protected restoreState (reader: StateReader, width: number): void {
    const roots = reader.array('roots', Uint32Array, this.parameters.nEstimators + 1)
    const nodes = roots[roots.length - 1]
    const right = reader.array('right', Uint32Array, nodes)
    const column = reader.array('column', Uint16Array, nodes)
    const value = reader.array('value', Float64Array, nodes)
    for (let t = 0; t < roots.length - 1; t++) {
      if (roots[0] !== 0 || roots[t] >= roots[t + 1]) throw new DetectorError('state', 'iforest.roots is not a list of trees')
      for (let node = roots[t]; node < roots[t + 1]; node++) {
        // Children after their parent and inside their tree: every walk comes to an end.
        const inside = right[node] === 0 || (right[node] > node + 1 && right[node] < roots[t + 1])
        if (!inside || column[node] >= width) throw new DetectorError('state', `iforest: node ${node} of tree ${t} is no node`)
      }
    }
    this.#norm = reader.number('norm', Number.MIN_VALUE)
    this.#roots = roots
    this.#right = right
    this.#column = column
    this.#value = value
  }

  #join (trees: Tree[]): void {
    this.#roots = new Uint32Array(trees.length + 1)
    trees.forEach((tree, t) => { this.#roots[t + 1] = this.#roots[t] + tree.value.length })
    const nodes = this.#roots[trees.length]
    this.#right = new Uint32Array(nodes)
    this.#column = new Uint16Array(nodes)
    this.#value = new Float64Array(nodes)
    trees.forEach((tree, t) => {
      const root = this.#roots[t]
      this.#right.set(tree.right.map((child) => child === 0 ? 0 : root + child), root)
      this.#column.set(tree.column, root)
      this.#value.set(tree.value, root)
    })
  }
}

/** The nodes of one tree in preorder, as in the forest, with right children counted from its root. */
interface Tree {
  right: number[]
  column: number[]
  value: number[]
}

function growTree ({ width, data }: Matrix, sample: Uint32Array, random: Random): Tree {
  const tree: Tree = { right: [], column: [], value: [] }
  const depthLimit = Math.ceil(Math.log2(Math.max(2, sample.length)))
  const columns = Uint16Array.from({ length: width }, (_, j) => j)

  /** A column whose values differ between the rows from `start` to `end`, and a place to cut it; both at random. */
  function drawCut (start: number, end: number): { column: number, threshold: number } | undefined {
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
        // Rounding, or a span beyond the doubles, could leave one side empty.
        return { column, threshold: threshold >= min && threshold < max ? threshold : min }
      }
    }
    return undefined
  }

  function grow (start: number, end: number, depth: number): void {
    const node = tree.value.length
    const cut = depth < depthLimit && end - start > 1 ? drawCut(start, end) : undefined
    tree.right.push(0)
    tree.column.push(cut?.column ?? 0)
    tree.value.push(cut?.threshold ?? depth + averagePathLength(end - start))
    if (cut === undefined) return
    let middle = start
    for (let i = start; i < end; i++) {
      const row = sample[i]
      if (data[row * width + cut.column] <= cut.threshold) {
        sample[i] = sample[middle]
        sample[middle++] = row
      }
    }
    grow(start, middle, depth + 1)
    tree.right[node] = tree.value.length
    grow(middle, end, depth + 1)
  }

  grow(0, sample.length, 0)
  return tree
}
