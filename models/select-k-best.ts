// Column selection: the columns whose means differ most between the labels.

import { DetectorError, type Rows } from './detector.js'
import { toMatrix } from './matrix.js'

/**
 * Returns the F statistic of a one-way analysis of variance for each column, as scikit-learn's `f_classif`: variance
 * between the labels over variance within. NaN for a constant column, Infinity for one that the labels determine.
 *
 * @param labels any numbers, one per row, with at least two distinct values
 * @throws DetectorError `labels` for unsuitable labels; `width` or `not-finite` for invalid rows
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
      `${rows.length} rows need one label each, of at least two kinds; got ${labels.length} of ${groups.size}`
    )
  }
  return Float64Array.from({ length: width }, (_, j) => {
    // Checked explicitly, because rounding in the means could give a constant column any score.
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
 * Returns the `k` columns with the highest {@link anovaF}, in ascending order, as scikit-learn's `SelectKBest`. Columns
 * without a score are ranked last. Of equal columns the later one is chosen.
 *
 * @throws DetectorError as `anovaF`; `parameter` if there are fewer than `k` columns
 */
export function selectKBest(rows: Rows, labels: ArrayLike<number>, k: number): number[] {
  const scores = anovaF(rows, labels)
  if (!Number.isInteger(k) || k < 1 || k > scores.length) {
    throw new DetectorError('parameter', `k must be an integer from 1 to ${scores.length}, not ${k}`)
  }
  const rank = (column: number) => (Number.isNaN(scores[column]) ? -1 : scores[column])
  // Infinity minus Infinity is NaN, so compare instead of subtracting.
  const ascending = [...scores.keys()].sort((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : a - b))
  return ascending.slice(-k).sort((a, b) => a - b)
}
