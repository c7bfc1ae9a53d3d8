// The settings that the paper names for each detector.

/** Settings of a detector under one name. */
export interface NamedSettings {
  /** A preset of columns. */
  features: string
  contamination: number
  /** Whether it learns from attacks as well; see {@link TrainingPlan.contaminated}. */
  contaminated: boolean
  parameters: Readonly<Record<string, number | string>>
}

/** All 31 columns, and PyOD's share of outliers, which the paper leaves as it is. */
const TABLE_1 = { features: 'table1', contamination: 0.1, parameters: {} }

/**
 * Sections IV and V of the paper: autoencoder, SO_GAAL, random forest and k-means learn from benign and
 * attack data, one-class SVM and isolation forest from benign data. BIRCH is named beside k-means and
 * taken likewise. What the paper does not name is the libraries' default. By the detector's name.
 */
export const PAPER_SETTINGS: Readonly<Partial<Record<string, NamedSettings>>> = {
  // What the library had when the paper was written.
  autoencoder: { ...TABLE_1, contaminated: true, parameters: { network: 'pyod-1', epochs: 100 } },
  'so-gaal': { ...TABLE_1, contaminated: true },
  'random-forest': { ...TABLE_1, contaminated: true, parameters: { nEstimators: 100 } },
  iforest: { ...TABLE_1, contaminated: false },
  ocsvm: { ...TABLE_1, contaminated: false, features: 'best24' },
  kmeans: { ...TABLE_1, contaminated: true, parameters: { nClusters: 2, score: 'cluster' } },
  birch: { ...TABLE_1, contaminated: true, parameters: { threshold: 0.2, score: 'cluster' } }
}
