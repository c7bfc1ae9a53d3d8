// Binary trees in flat arrays: what isolation forest and random forest score with.

import { DetectorError } from './detector.js'
import type { Matrix } from './matrix.js'
import { toBase64, type StateReader } from './state.js'

/** Rows that go down one tree before the next tree's turn: tree and rows then stay in the fast cache. */
const BLOCK_ROWS = 64

/** The most columns that a node's column number can name. */
const MAX_WIDTH = 0x10000

/**
 * One tree while it grows, its nodes in preorder: a node's left child is the next node.
 * `right` counts from the tree's root and is 0 for a leaf.
 */
export class Tree {
  readonly right: number[] = []
  readonly column: number[] = []
  readonly value: number[] = []

  /** Adds a node that sends values up to `threshold` to the left; returns its number. */
  addCut (column: number, threshold: number): number {
    this.right.push(0)
    this.column.push(column)
    return this.value.push(threshold) - 1
  }

  addLeaf (value: number): void {
    this.right.push(0)
    this.column.push(0)
    this.value.push(value)
  }

  /** Makes the node added next the right child of `node`. */
  joinRight (node: number): void {
    this.right[node] = this.value.length
  }
}

/** A fixed set of trees; a row's sum is the sum of the values of the leaves it falls into. */
export class Forest {
  private constructor (
    /** First node of each tree, and last the number of nodes. */
    private readonly roots: Uint32Array,
    /** Right child of each node, counted from the forest's first; 0 for a leaf. */
    private readonly right: Uint32Array,
    private readonly column: Uint16Array,
    /** Greatest value that goes left, or a leaf's value. */
    private readonly value: Float64Array
  ) {}

  /** A forest without trees. */
  static empty (): Forest {
    return Forest.of([], 0)
  }

  /** @throws DetectorError `width` for more than 65,536 columns */
  static of (trees: readonly Tree[], width: number): Forest {
    if (width > MAX_WIDTH) throw new DetectorError('width', `a forest takes at most ${MAX_WIDTH} columns, not ${width}`)
    const roots = new Uint32Array(trees.length + 1)
    trees.forEach((tree, t) => { roots[t + 1] = roots[t] + tree.value.length })
    const nodes = roots[trees.length]
    const forest = new Forest(roots, new Uint32Array(nodes), new Uint16Array(nodes), new Float64Array(nodes))
    trees.forEach((tree, t) => {
      forest.right.set(tree.right.map((child) => child === 0 ? 0 : roots[t] + child), roots[t])
      forest.column.set(tree.column, roots[t])
      forest.value.set(tree.value, roots[t])
    })
    return forest
  }

  /** The forest in the fields that `state` gave; throws `DetectorError` `state` where it is none. */
  static restore (reader: StateReader, trees: number, width: number): Forest {
    const roots = reader.array('roots', Uint32Array, trees + 1)
    const nodes = roots[trees]
    const right = reader.array('right', Uint32Array, nodes)
    const column = reader.array('column', Uint16Array, nodes)
    const value = reader.array('value', Float64Array, nodes)
    for (let t = 0; t < trees; t++) {
      if (roots[0] !== 0 || roots[t] >= roots[t + 1]) throw new DetectorError('state', 'roots is not a list of trees')
      for (let node = roots[t]; node < roots[t + 1]; node++) {
        // Children after their parent and inside their tree: every walk comes to an end.
        const inside = right[node] === 0 || (right[node] > node + 1 && right[node] < roots[t + 1])
        if (!inside || column[node] >= width) throw new DetectorError('state', `node ${node} of tree ${t} is no node`)
      }
    }
    return new Forest(roots, right, column, value)
  }

  get trees (): number {
    return this.roots.length - 1
  }

  /** The sum over all trees for each row; trees in their order, so that a row's sum is the same in any batch. */
  sums ({ rows, width, data }: Matrix): Float64Array {
    const { roots, right, column, value } = this
    const sums = new Float64Array(rows)
    for (let start = 0; start < rows; start += BLOCK_ROWS) {
      const end = Math.min(rows, start + BLOCK_ROWS)
      for (let t = 0; t < roots.length - 1; t++) {
        for (let i = start; i < end; i++) {
          const base = i * width
          let node = roots[t]
          for (let next = right[node]; next !== 0; next = right[node]) {
            node = data[base + column[node]] <= value[node] ? node + 1 : next
          }
          sums[i] += value[node]
        }
      }
    }
    return sums
  }

  /** The arrays in base64. */
  state (): Record<string, string> {
    return {
      roots: toBase64(this.roots),
      right: toBase64(this.right),
      column: toBase64(this.column),
      value: toBase64(this.value)
    }
  }
}
