// The detectors by name. A new detector needs a file, a line here and a line in the contract test.

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

/** A detector of the catalog. */
export interface CatalogEntry {
  /** Whether `fit` needs labels. */
  readonly supervised: boolean
  /** The parameters, by name. */
  readonly parameters: Readonly<Record<string, Parameter>>
  /**
   * Loads optional dependencies of `fit` and returns a one-line description of them. Undefined if there are none.
   * Rejects with `DetectorError('tensorflow')` if they are not installed.
   */
  prepare?: () => Promise<string>
  /** Creates an unfitted detector. Throws `DetectorError('parameter')` for invalid options. */
  create(options: DetectorOptions): OutlierDetector
  /** Restores a fitted detector from JSON. Throws `DetectorError` if it is invalid. */
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

/** Name of a detector. */
export type DetectorKind = keyof typeof CATALOG

/** The names, as on the command line. */
export const DETECTOR_KINDS = Object.freeze(Object.keys(CATALOG)) as readonly DetectorKind[]

/** Whether a detector of this name exists. */
export function isDetectorKind(name: string): name is DetectorKind {
  return Object.hasOwn(CATALOG, name)
}

/** Returns the entry of a detector. */
export function catalogEntry(kind: DetectorKind): CatalogEntry {
  return CATALOG[kind]
}

/**
 * Creates an unfitted detector.
 *
 * @param options `contamination`, `seed` and the entry's `parameters`
 * @throws DetectorError `parameter` for invalid options
 */
export function createDetector(
  kind: DetectorKind,
  options: DetectorOptions & Record<string, unknown> = {}
): OutlierDetector {
  return CATALOG[kind].create(options)
}

/**
 * Restores a fitted detector from the result of `toJSON`, with identical scores.
 *
 * @throws DetectorError `state` or `parameter` if it is invalid
 */
export function loadDetector(json: unknown): OutlierDetector {
  const kind = new StateReader(json, 'detector').string('kind')
  if (!isDetectorKind(kind))
    throw new DetectorError('state', `unknown detector ${kind}, expected one of ${DETECTOR_KINDS.join(', ')}`)
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
