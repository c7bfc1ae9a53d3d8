// Choosing columns: those whose means differ most between the labels.

import { DetectorError, type Rows } from './detector.js'
import { toMatrix } from './matrix.js'

/**
 * The F statistic of a one-way analysis of variance for each column, as scikit-learn's `f_classif`:
 * spread between the labels over spread within. NaN for a constant column, Infinity for one that the
 * labels determine.
 * @param labels any numbers, one for each row, of at least two kinds
 * @throws DetectorError `labels` where they do not fit; `width` or `not-finite` for rows that do not
 */
export function anovaF(rows: Rows, labels: ArrayLike<number>): Float64Array {
  const { width, data } = toMatrix(rows)
  const groups = new Map<number, number[]>()
  for (let i = 0; i < labels.length; i++) {
    const group = groups.get(labels[i])
    if (group === undefined) groups.set(labels[i], [i])
    else group.push(i)
  }
  if (labels.length !== rows.length || groups.size < 2) {
    throw new DetectorError(
      'labels',
      `${labels.length} labels of ${groups.size} kinds do not divide ${rows.length} rows`
    )
  }
  return Float64Array.from({ length: width }, (_, j) => {
    // Asked outright: rounding in the means could make any figure of a constant column.
    if (rows.every(row => row[j] === rows[0][j])) return NaN
    const mean = meanOf(data, width, j, [...rows.keys()])
    let between = 0
    let within = 0
    for (const group of groups.values()) {
      const groupMean = meanOf(data, width, j, group)
      between += group.length * (groupMean - mean) ** 2
      for (const i of group) within += (data[i * width + j] - groupMean) ** 2
    }
    return between / (groups.size - 1) / (within / (rows.length - groups.size))
  })
}

function meanOf(data: Float64Array, width: number, column: number, rows: readonly number[]): number {
  let sum = 0
  for (const i of rows) sum += data[i * width + column]
  return sum / rows.length
}

/**
 * The `k` columns of the highest {@link anovaF}, in ascending order; scikit-learn's `SelectKBest`.
 * Columns without a score come last, and of equal ones the later is taken.
 * @throws DetectorError as `anovaF`; `parameter` where there are fewer than `k` columns
 */
export function selectKBest(rows: Rows, labels: ArrayLike<number>, k: number): number[] {
  const scores = anovaF(rows, labels)
  if (!Number.isInteger(k) || k < 1 || k > scores.length) {
    throw new DetectorError('parameter', `k is ${k} where there are ${scores.length} columns`)
  }
  const rank = (column: number) => (Number.isNaN(scores[column]) ? -1 : scores[column])
  // Infinity less Infinity is NaN, hence no subtraction.
  const ascending = [...scores.keys()].sort((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : a - b))
  return ascending.slice(-k).sort((a, b) => a - b)
}
