// The settings that the paper names for each detector.

import type { DetectorKind } from '../../models/index.js'

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
 * taken likewise. What the paper does not name is the libraries' default.
 */
export const PAPER_SETTINGS: Readonly<Record<string, NamedSettings>> = {
  autoencoder: { ...TABLE_1, contaminated: true },
  'so-gaal': { ...TABLE_1, contaminated: true },
  'random-forest': { ...TABLE_1, contaminated: true, parameters: { nEstimators: 100 } },
  iforest: { ...TABLE_1, contaminated: false },
  ocsvm: { ...TABLE_1, contaminated: false, features: 'best24' },
  kmeans: { ...TABLE_1, contaminated: true, parameters: { nClusters: 2, score: 'cluster' } },
  birch: { ...TABLE_1, contaminated: true, parameters: { threshold: 0.2, score: 'cluster' } }
} satisfies Record<DetectorKind, NamedSettings> & Record<string, NamedSettings>
