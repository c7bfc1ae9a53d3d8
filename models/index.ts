// Entry point of `aedes-artemis/models`.

export { Autoencoder, type AutoencoderOptions } from './autoencoder.js'
export { Birch, type BirchOptions } from './birch.js'
export {
  catalogEntry,
  createDetector,
  DETECTOR_KINDS,
  isDetectorKind,
  loadDetector,
  type CatalogEntry,
  type DetectorKind
} from './catalog.js'
export {
  DetectorError,
  type Detector,
  type DetectorJson,
  type FitOptions,
  type FitProgress,
  type ProbabilityMethod,
  type Rows
} from './detector.js'
export { IsolationForest, type IsolationForestOptions } from './isolation-forest.js'
export { KMeans, type KMeansOptions } from './kmeans.js'
export {
  accuracy,
  averagePrecision,
  confusion,
  evaluate,
  recallAtFpr,
  rocAuc,
  rocCurve,
  type Confusion,
  type Evaluation,
  type LabelFigures,
  type RocPoint
} from './metrics.js'
export { OneClassSvm, type OneClassSvmOptions } from './one-class-svm.js'
export { OutlierDetector, type Step } from './outlier-detector.js'
export type { DetectorOptions, Parameter, ParameterTable } from './parameters.js'
export { RandomForest, type RandomForestOptions } from './random-forest.js'
export { anovaF, selectKBest } from './select-k-best.js'
export { SoGaal, type SoGaalOptions } from './so-gaal.js'
export { StandardScaler, type StandardScalerJson } from './standard-scaler.js'
export { Tail, type TailJson } from './tail.js'
