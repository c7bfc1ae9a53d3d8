// The interface of all detectors: PyOD's names and semantics on plain vectors.

/** Rows of finite numbers, all of the same width: `rows[i][j]` is column j of sample i. */
export type Rows = readonly ArrayLike<number>[]

/**
 * How a score is converted to a probability, as in PyOD. `linear` scales by the smallest and largest training score.
 * `unify` uses the Gauss error function of the standardised score (Kriegel et al. 2011).
 */
export type ProbabilityMethod = 'linear' | 'unify'

/** Progress of a training run. */
export interface FitProgress {
  /** Steps done: trees, epochs or iterations. Fractional within a long step. */
  done: number
  /** Total steps. */
  total: number
  /** Training loss, for detectors that have one. */
  loss?: number
}

/** Options of {@link Detector.fit}. */
export interface FitOptions {
  /** Called repeatedly while fitting. */
  onProgress?: (progress: FitProgress) => void
  /** Aborting rejects `fit` with the signal's reason and leaves the detector unfitted. */
  signal?: AbortSignal
}

/** Result of `toJSON`: plain JSON, with numeric arrays as base64. */
export interface DetectorJson {
  /** The detector's name in the catalog. */
  kind: string
  /** Everything that `fromJSON` needs to score identically. */
  state: Record<string, unknown>
}

/**
 * An outlier detector modelled on PyOD's `BaseDetector`.
 *
 * A higher score is more abnormal. A sample's score does not depend on the other samples of the call. All randomness is
 * derived from `seed`. Unfitted use, a wrong width, NaN and infinity throw a `DetectorError`.
 */
export interface Detector {
  /** The name in the catalog, as on the command line: `iforest`, `ocsvm`, ... */
  readonly kind: string
  /** Share of outliers assumed in the training data, in (0, 0.5]. */
  readonly contamination: number
  /** Number of columns; undefined before `fit`. */
  readonly width: number | undefined
  /**
   * Score above which a sample is an outlier: the (1 - contamination) quantile of the training scores. 0.5 if the
   * detector is supervised and its score is a share of votes.
   */
  readonly threshold: number
  /** Trains on `rows`. `labels` (1 = outlier) are for supervised detectors only. */
  fit(rows: Rows, labels?: ArrayLike<number>, options?: FitOptions): Promise<void>
  /** Returns outlier scores, one per row. */
  decisionFunction(rows: Rows): Float64Array
  /** Returns outlier probabilities, one per row, in [0, 1]. */
  predictProba(rows: Rows, method?: ProbabilityMethod): Float64Array
  /** Returns 1 for rows with a score above `threshold`, else 0. */
  predict(rows: Rows): Uint8Array
  /** Returns JSON from which `fromJSON` of the same class restores a detector with identical scores. */
  toJSON(): DetectorJson
}

/** Incorrect use of a detector, or invalid input. `code` is stable. */
export class DetectorError extends Error {
  constructor(
    readonly code: 'unfitted' | 'rows' | 'width' | 'not-finite' | 'labels' | 'parameter' | 'state' | 'tensorflow',
    message: string,
    options?: ErrorOptions
  ) {
    super(message, options)
    this.name = 'DetectorError'
  }
}
