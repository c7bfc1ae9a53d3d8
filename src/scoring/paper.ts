// The paper's settings of each detector.

/** Named settings of a detector. */
export interface NamedSettings {
  /** A preset of columns. */
  features: string
  contamination: number
  /** Whether the training data includes attacks; see {@link TrainingPlan.contaminated}. */
  contaminated: boolean
  parameters: Readonly<Record<string, number | string>>
}

/** All 31 columns, and PyOD's default contamination, which the paper does not change. */
const TABLE_1 = { features: 'table1', contamination: 0.1, parameters: {} }

/**
 * Sections IV and V of the paper: autoencoder, SO_GAAL, random forest and k-means are trained on benign and attack
 * data, one-class SVM and isolation forest on benign data. BIRCH is mentioned along with k-means and trained alike.
 * Anything else is the libraries' default. Keys are the detectors' names.
 */
export const PAPER_SETTINGS: Readonly<Partial<Record<string, NamedSettings>>> = {
  // PyOD's defaults when the paper was written.
  autoencoder: { ...TABLE_1, contaminated: true, parameters: { network: 'pyod-1', epochs: 100 } },
  'so-gaal': { ...TABLE_1, contaminated: true },
  'random-forest': { ...TABLE_1, contaminated: true, parameters: { nEstimators: 100 } },
  iforest: { ...TABLE_1, contaminated: false },
  ocsvm: { ...TABLE_1, contaminated: false, features: 'best24' },
  kmeans: { ...TABLE_1, contaminated: true, parameters: { nClusters: 2, score: 'cluster' } },
  birch: { ...TABLE_1, contaminated: true, parameters: { threshold: 0.2, score: 'cluster' } }
}
