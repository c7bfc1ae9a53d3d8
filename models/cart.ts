// A classification tree of a random forest, grown on the ranks of the values.

import { Tree } from './forest.js'
import type { Matrix } from './matrix.js'
import type { Random } from './random.js'

/** Ranks are counted up to this many ranks per row, else sorted. */
const RANKS_PER_ROW = 8

/** Training rows with the values of each column replaced by their ranks. Splits depend on ranks only. */
export interface RankedRows {
  readonly rows: number
  readonly width: number
  /** Rank of row i in column j at `j * rows + i`. Equal values have the same rank. */
  readonly ranks: Uint32Array
  /** The values of each column, ascending; indexed by rank. */
  readonly values: readonly Float64Array[]
  /** 0 or 1 per row. */
  readonly labels: Uint8Array
}

/** Ranks the values of each column. */
export function rankRows({ rows, width, data }: Matrix, labels: Uint8Array): RankedRows {
  const ranks = new Uint32Array(rows * width)
  const values: Float64Array[] = []
  for (let j = 0; j < width; j++) {
    const column = Float64Array.from({ length: rows }, (_, i) => data[i * width + j])
    const distinct = column.toSorted().filter((value, i, sorted) => i === 0 || value !== sorted[i - 1])
    for (let i = 0; i < rows; i++) ranks[j * rows + i] = rankOf(distinct, column[i])
    values.push(distinct)
  }
  return { rows, width, ranks, values, labels }
}

function rankOf(sorted: Float64Array, value: number): number {
  let [low, high] = [0, sorted.length - 1]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle] < value) low = middle + 1
    else high = middle
  }
  return low
}

interface Split {
  column: number
  /** Highest rank that goes left. */
  rank: number
  threshold: number
}

/** A cut between two adjacent ranks, and the combined purity of both sides. */
interface Cut {
  rank: number
  next: number
  purity: number
}

/** Number of rows, and of outliers among them. */
interface Counts {
  rows: number
  outliers: number
}

/**
 * Grows a tree (Breiman et al. 1984) to full depth by Gini impurity, as scikit-learn does. At each node it draws
 * `tried` columns at random (more if all are constant) and cuts half-way between the two values that minimise the
 * impurity. A leaf's value is its share of outliers.
 *
 * @param sample row numbers, possibly repeated; reordered
 */
export function growClassificationTree(data: RankedRows, sample: Uint32Array, tried: number, random: Random): Tree {
  const { rows, ranks, labels } = data
  const tree = new Tree()
  const columns = Uint16Array.from({ length: data.width }, (_, j) => j)
  // An explicit stack, because a degenerate tree can be as deep as there are rows.
  const open = [{ start: 0, end: sample.length, rightOf: -1 }]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const { start, end, rightOf } = node
    if (rightOf !== -1) tree.joinRight(rightOf)
    let outliers = 0
    for (let i = start; i < end; i++) outliers += labels[sample[i]]
    const total = { rows: end - start, outliers }
    const split =
      outliers > 0 && outliers < total.rows
        ? drawSplit(data, sample.subarray(start, end), total, columns, tried, random)
        : undefined
    if (split === undefined) {
      tree.addLeaf(outliers / total.rows)
      continue
    }
    let middle = start
    for (let i = start; i < end; i++) {
      const row = sample[i]
      if (ranks[split.column * rows + row] <= split.rank) {
        sample[i] = sample[middle]
        sample[middle++] = row
      }
    }
    const number = tree.addCut(split.column, split.threshold)
    // The left side is processed next, so that it directly follows its parent.
    open.push({ start: middle, end, rightOf: number }, { start, end: middle, rightOf: -1 })
  }
  return tree
}

/** Returns the best split among columns drawn at random; undefined if all are constant. */
function drawSplit(
  data: RankedRows,
  sample: Uint32Array,
  total: Counts,
  columns: Uint16Array,
  tried: number,
  random: Random
): Split | undefined {
  let best: Split | undefined
  let purest = -Infinity
  for (let drawn = 0; drawn < columns.length && (drawn < tried || best === undefined); drawn++) {
    const pick = drawn + random.integer(columns.length - drawn)
    const column = columns[pick]
    columns[pick] = columns[drawn]
    columns[drawn] = column
    const found = bestCut(data, sample, total, column)
    if (found !== undefined && found.purity > purest) {
      purest = found.purity
      best = { column, rank: found.rank, threshold: middleOf(data.values[column], found.rank, found.next) }
    }
  }
  return best
}

/** Returns the purest cut of a column, between two ranks that occur; undefined if there is only one rank. */
function bestCut(
  { rows, ranks, values, labels }: RankedRows,
  sample: Uint32Array,
  total: Counts,
  column: number
): Cut | undefined {
  const base = column * rows
  const rankCount = values[column].length
  const scan = new CutScan(total)
  if (rankCount <= RANKS_PER_ROW * sample.length) {
    const counts = new Uint32Array(2 * rankCount)
    for (let i = 0; i < sample.length; i++) counts[2 * ranks[base + sample[i]] + labels[sample[i]]]++
    for (let rank = 0; rank < rankCount; rank++) {
      const outliers = counts[2 * rank + 1]
      const count = counts[2 * rank] + outliers
      if (count > 0) scan.visit(rank, count, outliers)
    }
    return scan.best()
  }
  // Rank and label in one number, because numbers sort fast.
  const keys = new Uint32Array(sample.length)
  for (let i = 0; i < sample.length; i++) keys[i] = 2 * ranks[base + sample[i]] + labels[sample[i]]
  sortKeys(keys)
  for (let i = 0; i < keys.length;) {
    const rank = keys[i] >>> 1
    let outliers = 0
    const from = i
    for (; i < keys.length && keys[i] >>> 1 === rank; i++) outliers += keys[i] & 1
    scan.visit(rank, i - from, outliers)
  }
  return scan.best()
}

/** Visits the ranks of a column in ascending order and finds the best cut. */
class CutScan {
  readonly #rows: number
  readonly #outliers: number
  #leftRows = 0
  #leftOutliers = 0
  #last = -1
  #rank = -1
  #next = -1
  #purity = -Infinity

  constructor(total: Counts) {
    this.#rows = total.rows
    this.#outliers = total.outliers
  }

  visit(rank: number, rows: number, outliers: number): void {
    if (this.#last !== -1) {
      const purity =
        purityOf(this.#leftRows, this.#leftOutliers) +
        purityOf(this.#rows - this.#leftRows, this.#outliers - this.#leftOutliers)
      if (purity > this.#purity) {
        this.#purity = purity
        this.#rank = this.#last
        this.#next = rank
      }
    }
    this.#last = rank
    this.#leftRows += rows
    this.#leftOutliers += outliers
  }

  best(): Cut | undefined {
    return this.#rank === -1 ? undefined : { rank: this.#rank, next: this.#next, purity: this.#purity }
  }
}

/** Rows times the probability that two drawn rows have the same label: rows * (1 - Gini impurity). */
function purityOf(rows: number, outliers: number): number {
  return (outliers * outliers + (rows - outliers) * (rows - outliers)) / rows
}

/** Sorts in ascending order. Most nodes are small, where calling the engine's sort costs more than sorting. */
function sortKeys(keys: Uint32Array): void {
  if (keys.length > 40) {
    keys.sort()
    return
  }
  for (let i = 1; i < keys.length; i++) {
    const key = keys[i]
    let j = i
    for (; j > 0 && keys[j - 1] > key; j--) keys[j] = keys[j - 1]
    keys[j] = key
  }
}

function middleOf(values: Float64Array, rank: number, next: number): number {
  const middle = values[rank] / 2 + values[next] / 2
  // There is none between adjacent doubles.
  return middle >= values[rank] && middle < values[next] ? middle : values[rank]
}
