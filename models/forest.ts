// Binary trees in flat arrays, for scoring by isolation forest and random forest.

import { DetectorError } from './detector.js'
import { KernelMemory } from './kernel-memory.js'
import { compiled, NODE_BYTES, TREE_GROUP } from './kernels.js'
import type { Matrix } from './matrix.js'
import { toBase64, type StateReader } from './state.js'

/** Rows that are passed through a group of trees before the next group, so that both stay in the cache. */
const BLOCK_ROWS = 64

/** Maximum number of columns that a node can address. */
const MAX_WIDTH = 0x10000

/**
 * A tree under construction, its nodes in preorder: a node's left child is the next node. `right` is relative to the
 * tree's root, and 0 for a leaf.
 */
export class Tree {
  readonly right: number[] = []
  readonly column: number[] = []
  readonly value: number[] = []

  /** Adds a node that sends values up to `threshold` left. Returns its number. */
  addCut(column: number, threshold: number): number {
    this.right.push(0)
    this.column.push(column)
    return this.value.push(threshold) - 1
  }

  addLeaf(value: number): void {
    this.right.push(0)
    this.column.push(0)
    this.value.push(value)
  }

  /** Makes the next added node the right child of `node`. */
  joinRight(node: number): void {
    this.right[node] = this.value.length
  }
}

/** A forest in kernel memory, and buffers for a block of rows. */
interface PlacedForest {
  memory: KernelMemory
  /** Address of the list of root addresses. */
  roots: number
  groups: number
  block: Float64Array
  sums: Float64Array
}

/** A fixed set of trees. The sum of a row is the sum of the values of the leaves that it reaches. */
export class Forest {
  #placed: PlacedForest | undefined
  readonly #roots: Uint32Array
  readonly #right: Uint32Array
  readonly #column: Uint16Array
  readonly #value: Float64Array

  private constructor(
    /** First node of each tree, then the number of nodes. */
    roots: Uint32Array,
    /** Right child of each node, relative to the first node of the forest; 0 for a leaf. */
    right: Uint32Array,
    column: Uint16Array,
    /** Highest value that goes left, or the value of a leaf. */
    value: Float64Array
  ) {
    this.#roots = roots
    this.#right = right
    this.#column = column
    this.#value = value
  }

  /** Returns a forest without trees. */
  static empty(): Forest {
    return Forest.of([], 0)
  }

  /** @throws DetectorError `width` for more than 65,536 columns */
  static of(trees: readonly Tree[], width: number): Forest {
    if (width > MAX_WIDTH) throw new DetectorError('width', `a forest takes at most ${MAX_WIDTH} columns, not ${width}`)
    const roots = new Uint32Array(trees.length + 1)
    trees.forEach((tree, t) => {
      roots[t + 1] = roots[t] + tree.value.length
    })
    const nodes = roots[trees.length]
    const forest = new Forest(roots, new Uint32Array(nodes), new Uint16Array(nodes), new Float64Array(nodes))
    trees.forEach((tree, t) => {
      forest.#right.set(
        tree.right.map(child => (child === 0 ? 0 : roots[t] + child)),
        roots[t]
      )
      forest.#column.set(tree.column, roots[t])
      forest.#value.set(tree.value, roots[t])
    })
    return forest
  }

  /** Restores a forest from the fields of `state`. Throws `DetectorError` `state` if they are invalid. */
  static restore(reader: StateReader, trees: number, width: number): Forest {
    const roots = reader.array('roots', Uint32Array, trees + 1)
    const nodes = roots[trees]
    const right = reader.array('right', Uint32Array, nodes)
    const column = reader.array('column', Uint16Array, nodes)
    const value = reader.array('value', Float64Array, nodes)
    for (let t = 0; t < trees; t++) {
      if (roots[0] !== 0 || roots[t] >= roots[t + 1]) throw new DetectorError('state', 'roots is not a list of trees')
      for (let node = roots[t]; node < roots[t + 1]; node++) {
        // Children follow their parent within their tree, so every walk terminates.
        const inside = right[node] === 0 || (right[node] > node + 1 && right[node] < roots[t + 1])
        if (!inside || column[node] >= width) throw new DetectorError('state', `node ${node} of tree ${t} is invalid`)
      }
    }
    return new Forest(roots, right, column, value)
  }

  get trees(): number {
    return this.#roots.length - 1
  }

  /**
   * Returns the sum over all trees for each row. The order of the trees is fixed, so a sum does not depend on the
   * batch.
   */
  sums({ rows, width, data }: Matrix): Float64Array {
    const { memory, roots, groups, block, sums: blockSums } = (this.#placed ??= this.#place(width))
    const sums = new Float64Array(rows)
    for (let start = 0; start < rows; start += BLOCK_ROWS) {
      const count = Math.min(BLOCK_ROWS, rows - start)
      block.set(data.subarray(start * width, (start + count) * width))
      blockSums.fill(0, 0, count)
      const row = block.byteOffset
      memory.kernels.walk(roots, groups, row, row + count * 8 * width, 8 * width, blockSums.byteOffset)
      for (let i = 0; i < count; i++) sums[start + i] = blockSums[i]
    }
    return sums
  }

  /** Copies the trees to kernel memory. Padding trees in the last group are leaves of 0. */
  #place(width: number): PlacedForest {
    const right = this.#right
    const column = this.#column
    const value = this.#value
    const nodes = value.length
    const groups = Math.ceil(this.trees / TREE_GROUP)
    const memory = new KernelMemory(
      [NODE_BYTES * (nodes + 1), 4 * TREE_GROUP * groups, 8 * width * BLOCK_ROWS, 8 * BLOCK_ROWS],
      // A single tree is walked only once, in training. Compiled kernels are not worth their memory.
      this.trees < TREE_GROUP ? undefined : compiled
    )
    const doubles = memory.doubles((NODE_BYTES / 8) * (nodes + 1))
    const integers = new Int32Array(doubles.buffer, doubles.byteOffset, 2 * doubles.length)
    for (let node = 0; node < nodes; node++) {
      doubles[2 * node] = value[node]
      integers[4 * node + 2] = 8 * column[node]
      integers[4 * node + 3] = right[node] === 0 ? 0 : NODE_BYTES * (right[node] - node - 1)
    }
    const roots = memory.integers(TREE_GROUP * groups)
    roots.forEach((_, t) => {
      roots[t] = doubles.byteOffset + NODE_BYTES * (t < this.trees ? this.#roots[t] : nodes)
    })
    return {
      memory,
      roots: roots.byteOffset,
      groups,
      block: memory.doubles(width * BLOCK_ROWS),
      sums: memory.doubles(BLOCK_ROWS)
    }
  }

  /** Returns the arrays as base64. */
  state(): Record<string, string> {
    return {
      roots: toBase64(this.#roots),
      right: toBase64(this.#right),
      column: toBase64(this.#column),
      value: toBase64(this.#value)
    }
  }
}
