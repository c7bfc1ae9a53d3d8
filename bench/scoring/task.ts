// What is measured: each detector with its default parameters, and how its original must be set to be the same.

import { Birch, OneClassSvm, type DetectorKind, type OutlierDetector } from '../../models/index.js'

/** One line of the tables. */
export interface Task {
  name: string
  kind: DetectorKind
  /** Rows that both sides are given to learn from. */
  rows: number
  /** Ours against theirs at batch 1, as aimed at. */
  aim: number
  parameters: Readonly<Record<string, number | string>>
}

/** What came of a training. */
export interface Fitted {
  /** Processor time. */
  seconds: number
  /** ROC AUC on the test rows. */
  auc: number
}

/** Rows that a one-class SVM learns from at most, unless told otherwise. */
const SVM_ROWS = 2_000

/** Rows of the one-class SVM that is given more than it takes: its original's time grows with their square. */
const MANY_SVM_ROWS = 20_000

const EPOCHS = 10
const STOP_EPOCHS = 20

/** The lines of the tables, with so many rows to learn from. */
export function tasks(rows: number): Task[] {
  const task = (kind: DetectorKind, parameters: Task['parameters'] = {}): Task => ({
    name: kind,
    kind,
    rows,
    aim: 50,
    parameters
  })
  return [
    task('autoencoder', { epochs: EPOCHS }),
    task('so-gaal', { stopEpochs: STOP_EPOCHS }),
    task('random-forest'),
    task('iforest'),
    { ...task('ocsvm'), name: 'ocsvm, the same rows', rows: Math.min(rows, SVM_ROWS), aim: 10 },
    { ...task('ocsvm'), name: 'ocsvm, a sample against all rows', rows: Math.min(rows, MANY_SVM_ROWS) },
    task('kmeans'),
    task('birch')
  ]
}

/** What the original must be told to be the same as the detector of ours that was fitted. */
export function givenFor({ parameters }: Task, ours: OutlierDetector): object {
  // Both then have about as many subclusters; ours makes its threshold larger where there would be too many.
  return ours instanceof Birch ? { threshold: ours.radius } : parameters
}

/** What a detector of ours has to compute for one row, in words. */
export function sizeOf(detector: OutlierDetector): string {
  if (detector instanceof Birch) return `${detector.centers?.count} subclusters`
  if (detector instanceof OneClassSvm) return `${detector.supportVectors} support vectors`
  return ''
}
