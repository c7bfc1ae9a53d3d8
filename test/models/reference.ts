// Reference figures of PyOD and scikit-learn, and the data that they were calculated from.

import { readFileSync } from 'node:fs'
import { StandardScaler } from '../../models/index.js'

// From dist/test/models to the sources: the compiler copies no data.
const FOLDER = new URL('../../../test/reference/', import.meta.url)

/** Rows of a CSV file with the label in the last column. */
export interface LabelledRows {
  rows: number[][]
  labels: Uint8Array
}

/** Reads `train.csv` or `test.csv`. */
export function readTable(name: 'train.csv' | 'test.csv'): LabelledRows {
  const lines = readFileSync(new URL(name, FOLDER), 'utf8').trim().split('\n').slice(1)
  const table = lines.map(line => line.split(',').map(Number))
  return { rows: table.map(row => row.slice(0, -1)), labels: Uint8Array.from(table, row => row[row.length - 1]) }
}

/** Reads `reference.json`. The tests define its fields. */
export function readReference(): unknown {
  return JSON.parse(readFileSync(new URL('reference.json', FOLDER), 'utf8'))
}

/** Returns both tables standardised by the training rows, as the reference detectors got them. */
export function readStandardised(): {
  train: Float64Array[]
  trainLabels: Uint8Array
  test: Float64Array[]
  testLabels: Uint8Array
} {
  const train = readTable('train.csv')
  const test = readTable('test.csv')
  const scaler = StandardScaler.fit(train.rows)
  return {
    train: train.rows.map(row => scaler.transform(row)),
    trainLabels: train.labels,
    test: test.rows.map(row => scaler.transform(row)),
    testLabels: test.labels
  }
}

/** Returns the largest absolute difference of two lists of the same length. */
export function largestDifference(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  if (ours.length !== theirs.length) return Infinity
  return Array.from(ours).reduce((worst, value, i) => Math.max(worst, Math.abs(value - theirs[i])), 0)
}
