// The detectors by name: a new one is a file, a line here and a line in the contract's test.

import { Autoencoder, AUTOENCODER_PARAMETERS } from './autoencoder.js'
import { Birch, BIRCH_PARAMETERS } from './birch.js'
import { DetectorError, type DetectorJson } from './detector.js'
import { IsolationForest, ISOLATION_FOREST_PARAMETERS } from './isolation-forest.js'
import { KMeans, KMEANS_PARAMETERS } from './kmeans.js'
import { OneClassSvm, ONE_CLASS_SVM_PARAMETERS } from './one-class-svm.js'
import type { OutlierDetector } from './outlier-detector.js'
import type { DetectorOptions, Parameter } from './parameters.js'
import { RandomForest, RANDOM_FOREST_PARAMETERS } from './random-forest.js'
import { SoGaal, SO_GAAL_PARAMETERS } from './so-gaal.js'
import { StateReader } from './state.js'
import { describeTensorFlow, loadTensorFlow } from './tensorflow.js'

/** One detector of the catalog. */
export interface CatalogEntry {
  /** Whether `fit` wants labels. */
  readonly supervised: boolean
  /** What may be set, by name. */
  readonly parameters: Readonly<Record<string, Parameter>>
  /**
   * Loads what `fit` needs beyond this package and tells in a line what it is; undefined where that is
   * nothing. Rejects with `DetectorError('tensorflow')` where it is not installed.
   */
  prepare?: () => Promise<string>
  /** An unfitted detector; throws `DetectorError('parameter')` for options that do not fit. */
  create(options: DetectorOptions): OutlierDetector
  /** A fitted detector from its JSON; throws `DetectorError` where it does not fit. */
  load(json: DetectorJson): OutlierDetector
}

const CATALOG = {
  autoencoder: { ...entry(Autoencoder, AUTOENCODER_PARAMETERS), prepare: prepareTensorFlow },
  'so-gaal': { ...entry(SoGaal, SO_GAAL_PARAMETERS), prepare: prepareTensorFlow },
  'random-forest': entry(RandomForest, RANDOM_FOREST_PARAMETERS, true),
  iforest: entry(IsolationForest, ISOLATION_FOREST_PARAMETERS),
  ocsvm: entry(OneClassSvm, ONE_CLASS_SVM_PARAMETERS),
  kmeans: entry(KMeans, KMEANS_PARAMETERS),
  birch: entry(Birch, BIRCH_PARAMETERS)
}

/** A name in the catalog. */
export type DetectorKind = keyof typeof CATALOG

/** The names, as the command line spells them. */
export const DETECTOR_KINDS = Object.freeze(Object.keys(CATALOG)) as readonly DetectorKind[]

/** Whether a name is in the catalog. */
export function isDetectorKind(name: string): name is DetectorKind {
  return Object.hasOwn(CATALOG, name)
}

/** The entry of a name. */
export function catalogEntry(kind: DetectorKind): CatalogEntry {
  return CATALOG[kind]
}

/**
 * An unfitted detector.
 * @param options `contamination`, `seed` and what the entry's `parameters` name
 * @throws DetectorError `parameter` for options that do not fit
 */
export function createDetector(
  kind: DetectorKind,
  options: DetectorOptions & Record<string, unknown> = {}
): OutlierDetector {
  return CATALOG[kind].create(options)
}

/**
 * A fitted detector from what its `toJSON` gave, with identical scores.
 * @throws DetectorError `state` or `parameter` where it does not fit
 */
export function loadDetector(json: unknown): OutlierDetector {
  const kind = new StateReader(json, 'detector').string('kind')
  if (!isDetectorKind(kind))
    throw new DetectorError('state', `there is no detector ${kind}; there are ${DETECTOR_KINDS.join(', ')}`)
  return CATALOG[kind].load(json as DetectorJson)
}

interface DetectorClass {
  new (options: DetectorOptions): OutlierDetector
  fromJSON(json: DetectorJson): OutlierDetector
}

function entry(
  detector: DetectorClass,
  parameters: Readonly<Record<string, Parameter>>,
  supervised = false
): CatalogEntry {
  return {
    supervised,
    parameters,
    create: options => new detector(options),
    load: json => detector.fromJSON(json)
  }
}

async function prepareTensorFlow(): Promise<string> {
  return describeTensorFlow(await loadTensorFlow())
}
