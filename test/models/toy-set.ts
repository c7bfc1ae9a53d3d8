// A small seeded data set with outliers that every detector must find.

import { Random } from '../../models/random.js'

/** Rows of six columns and their labels, 1 = outlier. */
export interface ToySet {
  train: number[][]
  trainLabels: Uint8Array
  test: number[][]
  testLabels: Uint8Array
}

/** Returns two clusters of inliers with a correlated pair of columns; one in ten rows is scattered around them. */
export function toySet(): ToySet {
  const random = new Random(20)
  const draw = (rows: number) => {
    const labels = Uint8Array.from({ length: rows }, (_, i) => Number(i % 10 === 0))
    return {
      labels,
      rows: Array.from(labels, label => {
        if (label === 1) return Array.from({ length: 6 }, () => 4 * random.normal())
        const shift = random.uniform() < 0.5 ? 0 : 3
        const row = Array.from({ length: 6 }, () => shift + random.normal())
        return row.with(1, row[0] + 0.1 * random.normal())
      })
    }
  }
  const train = draw(300)
  const test = draw(200)
  return { train: train.rows, trainLabels: train.labels, test: test.rows, testLabels: test.labels }
}
