// Base of the clustering detectors: the parameter `score`, and scoring by centres.

import { Centers } from './centers.js'
import type { Matrix } from './matrix.js'
import { OutlierDetector } from './outlier-detector.js'
import { DETECTOR_PARAMETERS, type DetectorOptions, type ParameterTable } from './parameters.js'
import type { StateReader } from './state.js'

const SCORES = ['distance', 'cluster'] as const

/** Parameters of all clustering detectors. */
export interface CenterOptions extends DetectorOptions {
  /**
   * `distance`: to the nearest centre, for benign training data. `cluster`: the smallest group of training rows are the
   * outliers, for training data with attacks.
   * @default 'distance'
   */
  score?: (typeof SCORES)[number]
}

/** The parameters' ranges and defaults. */
export const CENTER_PARAMETERS: ParameterTable<CenterOptions> = {
  ...DETECTOR_PARAMETERS,
  score: {
    about:
      "'distance': distance to the nearest centre, for benign training data; " +
      "'cluster': distance to the nearest inlier centre minus that to the nearest outlier centre, " +
      'for training data with outliers',
    default: 'distance',
    choices: SCORES
  }
}

/** A detector that learns centres and scores by them, see {@link Centers}. */
export abstract class CenterDetector<T extends Required<CenterOptions>> extends OutlierDetector<T> {
  #centers: Centers | undefined

  /** The centres; undefined before `fit`. */
  get centers(): Centers | undefined {
    return this.#centers
  }

  /** Sets the centres to score by. */
  protected useCenters(centers: Centers): void {
    this.#centers = centers
  }

  protected score(data: Matrix): Float64Array {
    return (this.#centers as Centers).scores(data)
  }

  protected state(): Record<string, unknown> {
    return (this.#centers as Centers).state()
  }

  protected restoreState(reader: StateReader, width: number): void {
    this.#centers = Centers.restore(reader, width)
  }
}
