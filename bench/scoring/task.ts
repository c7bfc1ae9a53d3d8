// The measured tasks: each detector with default parameters, and equivalent parameters for its reference
// implementation.

import { Birch, OneClassSvm, type DetectorKind, type OutlierDetector } from '../../models/index.js'

/** A row of the tables. */
export interface Task {
  name: string
  kind: DetectorKind
  /** Number of training rows for both sides. */
  rows: number
  /** Aimed speed ratio at batch 1. */
  aim: number
  parameters: Readonly<Record<string, number | string>>
}

/** Result of training. */
export interface Fitted {
  /** Processor time, seconds. */
  seconds: number
  /** ROC AUC on the test rows. */
  auc: number
}

/** Default maximum of training rows of the one-class SVM. */
const SVM_ROWS = 2_000

/** Training rows for the one-class SVM that samples: the time of its reference grows with their square. */
const MANY_SVM_ROWS = 20_000

const EPOCHS = 10
const STOP_EPOCHS = 20

/** Returns the tasks for a number of training rows. */
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

/** Returns the parameters that make the reference equivalent to our fitted detector. */
export function referenceParameters({ parameters }: Task, ours: OutlierDetector): object {
  // Both then have about as many subclusters: ours increases the threshold if there are too many.
  return ours instanceof Birch ? { threshold: ours.radius } : parameters
}

/** Describes the work of our detector per row. */
export function sizeOf(detector: OutlierDetector): string {
  if (detector instanceof Birch) return `${detector.centers?.count} subclusters`
  if (detector instanceof OneClassSvm) return `${detector.supportVectors} support vectors`
  return ''
}
