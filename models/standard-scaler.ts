// Standardisation: scales every column to mean 0 and standard deviation 1.

import { DetectorError, type Rows } from './detector.js'
import { toMatrix } from './matrix.js'
import { StateReader, toBase64 } from './state.js'

/** Result of `StandardScaler.toJSON`. */
export interface StandardScalerJson {
  mean: string
  scale: string
  /** null: no limit. */
  limit: number | null
}

/**
 * scikit-learn's `StandardScaler` (population standard deviation; a constant column has scale 1). Optionally with a
 * limit, so that a column that hardly varied in training cannot give extreme results, and with minimum deviations, for
 * columns with a known smallest relevant difference.
 */
export class StandardScaler {
  private constructor(
    /** Mean of each column in training. */
    readonly mean: Float64Array,
    /**
     * Standard deviation of each column in training, or its minimum; 1 if the column was constant and has no minimum.
     */
    readonly scale: Float64Array,
    /** Results are clipped to [-limit, limit]. */
    readonly limit: number
  ) {}

  /**
   * Learns means and deviations.
   * @param options.least minimum deviation of each column; 0 for none
   * @throws DetectorError `rows` if there are no rows, `width` or `not-finite` for invalid rows
   */
  static fit(
    rows: Rows,
    { limit = Infinity, least }: { limit?: number; least?: ArrayLike<number> } = {}
  ): StandardScaler {
    if (rows.length === 0) throw new DetectorError('rows', 'there are no training rows')
    const { width, data } = toMatrix(rows)
    const count = rows.length
    const mean = new Float64Array(width)
    const scale = new Float64Array(width)
    for (let i = 0; i < data.length; i++) mean[i % width] += data[i] / count
    for (let i = 0; i < data.length; i++) scale[i % width] += (data[i] - mean[i % width]) ** 2 / count
    for (let j = 0; j < width; j++) {
      // Upper bound of what rounding can add to a constant column, as in scikit-learn.
      const noise = count * Number.EPSILON * scale[j] + (count * mean[j] * Number.EPSILON) ** 2
      const floor = least?.[j] ?? 0
      scale[j] = scale[j] > noise ? Math.max(floor, Math.sqrt(scale[j])) : floor === 0 ? 1 : floor
    }
    return new StandardScaler(mean, scale, limit)
  }

  /** Restores a scaler from the result of `toJSON`. Throws `DetectorError` `state` if it is invalid. */
  static fromJSON(json: unknown): StandardScaler {
    const reader = new StateReader(json, 'scaler')
    const mean = reader.array('mean', Float64Array)
    const scale = reader.array('scale', Float64Array, mean.length)
    if (scale.some(value => value <= 0)) throw new DetectorError('state', 'scaler.scale must be positive')
    return new StandardScaler(
      mean,
      scale,
      reader.raw('limit') === null ? Infinity : reader.number('limit', Number.MIN_VALUE)
    )
  }

  /** Returns a row standardised and clipped. */
  transform(row: ArrayLike<number>): Float64Array {
    const { mean, scale, limit } = this
    if (row.length !== mean.length) {
      throw new DetectorError('width', `a row has ${row.length} columns, expected ${mean.length}`)
    }
    return mean.map((value, j) => Math.max(-limit, Math.min(limit, (row[j] - value) / scale[j])))
  }

  toJSON(): StandardScalerJson {
    return {
      mean: toBase64(this.mean),
      scale: toBase64(this.scale),
      limit: Number.isFinite(this.limit) ? this.limit : null
    }
  }
}
