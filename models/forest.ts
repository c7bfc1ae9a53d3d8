// Binary trees in flat arrays: what isolation forest and random forest score with.

import { DetectorError } from './detector.js'
import { KernelMemory } from './kernel-memory.js'
import { compiled, NODE_BYTES, TREE_GROUP } from './kernels.js'
import type { Matrix } from './matrix.js'
import { toBase64, type StateReader } from './state.js'

/** Rows that go down some trees before the next trees' turn: trees and rows then stay in the fast cache. */
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

  /** Makes the node added next the right child of `node`. */
  joinRight(node: number): void {
    this.right[node] = this.value.length
  }
}

/** Where a forest stands in memory, and room for a block of rows. */
interface PlacedForest {
  memory: KernelMemory
  /** Address of the list of roots. */
  roots: number
  groups: number
  block: Float64Array
  sums: Float64Array
}

/** A fixed set of trees; a row's sum is the sum of the values of the leaves it falls into. */
export class Forest {
  #placed: PlacedForest | undefined
  readonly #roots: Uint32Array
  readonly #right: Uint32Array
  readonly #column: Uint16Array
  readonly #value: Float64Array

  private constructor(
    /** First node of each tree, and last the number of nodes. */
    roots: Uint32Array,
    /** Right child of each node, counted from the forest's first; 0 for a leaf. */
    right: Uint32Array,
    column: Uint16Array,
    /** Greatest value that goes left, or a leaf's value. */
    value: Float64Array
  ) {
    this.#roots = roots
    this.#right = right
    this.#column = column
    this.#value = value
  }

  /** A forest without trees. */
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

  /** The forest in the fields that `state` gave; throws `DetectorError` `state` where it is none. */
  static restore(reader: StateReader, trees: number, width: number): Forest {
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

  get trees(): number {
    return this.#roots.length - 1
  }

  /** The sum over all trees for each row; trees in their order, so that a row's sum is the same in any batch. */
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

  /** The trees as the kernel takes them; those that fill up the last group are a leaf of 0. */
  #place(width: number): PlacedForest {
    const right = this.#right
    const column = this.#column
    const value = this.#value
    const nodes = value.length
    const groups = Math.ceil(this.trees / TREE_GROUP)
    const memory = new KernelMemory(
      [NODE_BYTES * (nodes + 1), 4 * TREE_GROUP * groups, 8 * width * BLOCK_ROWS, 8 * BLOCK_ROWS],
      // A tree alone is walked once, in training: not worth a memory of its own.
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

  /** The arrays in base64. */
  state(): Record<string, string> {
    return {
      roots: toBase64(this.#roots),
      right: toBase64(this.#right),
      column: toBase64(this.#column),
      value: toBase64(this.#value)
    }
  }
}
