// What the detectors that cluster have in common: the parameter that says how to score, and scoring by centres.

import { Centers } from './centers.js'
import type { Matrix } from './matrix.js'
import { OutlierDetector } from './outlier-detector.js'
import { DETECTOR_PARAMETERS, type DetectorOptions, type ParameterTable } from './parameters.js'
import type { StateReader } from './state.js'

const SCORES = ['distance', 'cluster'] as const

/** Parameters of every detector that clusters. */
export interface CenterOptions extends DetectorOptions {
  /**
   * `distance`: to the nearest centre, for benign training data; `cluster`: of the groups of training rows
   * the smallest holds the outliers, for training data with attacks. `distance` unless given.
   */
  score?: (typeof SCORES)[number]
}

/** The parameters' ranges and defaults. */
export const CENTER_PARAMETERS: ParameterTable<CenterOptions> = {
  ...DETECTOR_PARAMETERS,
  score: {
    about:
      "'distance': to the nearest centre, for benign training data; " +
      "'cluster': to the nearest inlier centre less that to the nearest outlier centre, for training data with outliers",
    default: 'distance',
    choices: SCORES
  }
}

/** A detector that learns centres and scores by them, as {@link Centers} does. */
export abstract class CenterDetector<T extends Required<CenterOptions>> extends OutlierDetector<T> {
  #centers: Centers | undefined

  /** The centres; undefined before `fit`. */
  get centers(): Centers | undefined {
    return this.#centers
  }

  /** Scores by these from now on. */
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
