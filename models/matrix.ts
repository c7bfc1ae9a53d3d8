// Rows of numbers in one flat array, validated once.

import { DetectorError, type Rows } from './detector.js'

/** A table of finite numbers: column j of row i is `data[i * width + j]`. `data` may be longer. */
export interface Matrix {
  readonly rows: number
  readonly width: number
  readonly data: Float64Array
}

const EMPTY = new Float64Array(0)

/**
 * Copies rows into a matrix.
 *
 * @param width the expected number of columns; that of the first row unless given
 * @param buffer array to reuse if it is large enough; allocating a large array costs more than filling it
 * @throws DetectorError `width` if a row is shorter or longer, `not-finite` for NaN and infinity
 */
export function toMatrix(
  rows: Rows,
  width = rows.length > 0 ? rows[0].length : 0,
  buffer: Float64Array = EMPTY
): Matrix {
  const data = buffer.length >= rows.length * width ? buffer : new Float64Array(rows.length * width)
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]
    if (row.length !== width) {
      throw new DetectorError('width', `row ${i} has ${row.length} columns, expected ${width}`)
    }
    const base = i * width
    for (let j = 0; j < width; j++) {
      const value = row[j]
      if (!Number.isFinite(value)) throw new DetectorError('not-finite', `row ${i} has ${value} in column ${j}`)
      data[base + j] = value
    }
  }
  return { rows: rows.length, width, data }
}

/** Returns the squared Euclidean distance of a matrix row to a row of another flat table of the same width. */
export function squaredDistance(a: Float64Array, aBase: number, b: Float64Array, bBase: number, width: number): number {
  // Four independent sums, which the processor adds in parallel.
  let sum0 = 0
  let sum1 = 0
  let sum2 = 0
  let sum3 = 0
  let j = 0
  for (; j + 3 < width; j += 4) {
    const d0 = a[aBase + j] - b[bBase + j]
    const d1 = a[aBase + j + 1] - b[bBase + j + 1]
    const d2 = a[aBase + j + 2] - b[bBase + j + 2]
    const d3 = a[aBase + j + 3] - b[bBase + j + 3]
    sum0 += d0 * d0
    sum1 += d1 * d1
    sum2 += d2 * d2
    sum3 += d3 * d3
  }
  for (; j < width; j++) {
    const difference = a[aBase + j] - b[bBase + j]
    sum0 += difference * difference
  }
  return sum0 + sum1 + sum2 + sum3
}
