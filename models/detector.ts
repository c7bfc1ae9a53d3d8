// The contract that every detector keeps: PyOD's names and meaning, on plain vectors.

/** Rows of finite numbers, all of the same width: `rows[i][j]` is column j of sample i. */
export type Rows = readonly ArrayLike<number>[]

/**
 * How a score becomes a probability: `linear` scales by the smallest and largest training score,
 * `unify` by the Gauss error function of the standardised score (Kriegel et al. 2011), as PyOD does.
 */
export type ProbabilityMethod = 'linear' | 'unify'

/** What a training run reports while it lasts. */
export interface FitProgress {
  /** Steps done so far: trees, epochs, iterations; a fraction within a long one. */
  done: number
  /** Steps in all. */
  total: number
  /** Training loss, for detectors that have one. */
  loss?: number
}

/** What may be passed to {@link Detector.fit} beside the data. */
export interface FitOptions {
  /** Called now and then while fitting. */
  onProgress?: (progress: FitProgress) => void
  /** Aborting rejects `fit` with the signal's reason and leaves the detector unfitted. */
  signal?: AbortSignal
}

/** What `toJSON` gives and `fromJSON` takes: plain JSON; numeric arrays as base64. */
export interface DetectorJson {
  /** The detector's name in the catalog. */
  kind: string
  /** Everything `fromJSON` needs to score identically. */
  state: Record<string, unknown>
}

/**
 * An outlier detector after PyOD's `BaseDetector`.
 *
 * A higher score is more abnormal. One sample's score never depends on the batch it stands in.
 * Everything random comes from `seed`. Unfitted use, a wrong width, NaN and infinity are refused
 * with a `DetectorError`.
 */
export interface Detector {
  /** The name in the catalog, as the command line spells it: `iforest`, `ocsvm`, ... */
  readonly kind: string
  /** Share of outliers assumed in the training data, in (0, 0.5]. */
  readonly contamination: number
  /** Number of columns; undefined before `fit`. */
  readonly width: number | undefined
  /**
   * Score above which a sample is an outlier: the (1 - contamination) quantile of the training scores;
   * 0.5 where the detector is supervised and its score a share of votes.
   */
  readonly threshold: number
  /** Learns from `rows`; `labels` (1 = outlier) only where the detector is supervised. */
  fit(rows: Rows, labels?: ArrayLike<number>, options?: FitOptions): Promise<void>
  /** Outlier scores, one per row. */
  decisionFunction(rows: Rows): Float64Array
  /** Probabilities of being an outlier, one per row, in [0, 1]. */
  predictProba(rows: Rows, method?: ProbabilityMethod): Float64Array
  /** 1 for rows whose score is above `threshold`, else 0. */
  predict(rows: Rows): Uint8Array
  /** A copy that `fromJSON` of the same class turns back into a detector with identical scores. */
  toJSON(): DetectorJson
}

/** A detector used wrongly or fed what it cannot take; `code` is stable. */
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
