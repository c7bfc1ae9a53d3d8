// Standardising: every column to mean 0 and standard deviation 1.

import { DetectorError, type Rows } from './detector.js'
import { toMatrix } from './matrix.js'
import { StateReader, toBase64 } from './state.js'

/** What `StandardScaler.toJSON` gives. */
export interface StandardScalerJson {
  mean: string
  scale: string
  /** null: no limit. */
  limit: number | null
}

/**
 * scikit-learn's `StandardScaler` (population standard deviation; a constant column keeps scale 1),
 * with an optional limit: a column that hardly moved in training cannot send a later row to infinity.
 */
export class StandardScaler {
  private constructor (
    /** Mean of each column in training. */
    readonly mean: Float64Array,
    /** Standard deviation of each column in training; 1 where it was constant. */
    readonly scale: Float64Array,
    /** Results are clipped to [-limit, limit]. */
    readonly limit: number
  ) {}

  /**
   * Learns means and deviations.
   * @throws DetectorError `rows` for no rows, `width` or `not-finite` for rows that do not fit
   */
  static fit (rows: Rows, { limit = Infinity }: { limit?: number } = {}): StandardScaler {
    if (rows.length === 0) throw new DetectorError('rows', 'there is nothing to learn from')
    const { width, data } = toMatrix(rows)
    const count = rows.length
    const mean = new Float64Array(width)
    const scale = new Float64Array(width)
    for (let i = 0; i < data.length; i++) mean[i % width] += data[i] / count
    for (let i = 0; i < data.length; i++) scale[i % width] += (data[i] - mean[i % width]) ** 2 / count
    for (let j = 0; j < width; j++) {
      // What rounding alone can make of a constant column, as scikit-learn bounds it.
      const noise = count * Number.EPSILON * scale[j] + (count * mean[j] * Number.EPSILON) ** 2
      scale[j] = scale[j] > noise ? Math.sqrt(scale[j]) : 1
    }
    return new StandardScaler(mean, scale, limit)
  }

  /** The scaler that `toJSON` saved; throws `DetectorError` `state` where it is not one. */
  static fromJSON (json: unknown): StandardScaler {
    const reader = new StateReader(json, 'scaler')
    const mean = reader.array('mean', Float64Array)
    const scale = reader.array('scale', Float64Array, mean.length)
    if (scale.some((value) => value <= 0)) throw new DetectorError('state', 'scaler.scale holds a number that is not positive')
    return new StandardScaler(mean, scale, reader.raw('limit') === null ? Infinity : reader.number('limit', Number.MIN_VALUE))
  }

  /** One row, standardised and clipped. */
  transform (row: ArrayLike<number>): Float64Array {
    const { mean, scale, limit } = this
    if (row.length !== mean.length) {
      throw new DetectorError('width', `a row has ${row.length} columns where ${mean.length} are wanted`)
    }
    return mean.map((value, j) => Math.max(-limit, Math.min(limit, (row[j] - value) / scale[j])))
  }

  toJSON (): StandardScalerJson {
    return { mean: toBase64(this.mean), scale: toBase64(this.scale), limit: Number.isFinite(this.limit) ? this.limit : null }
  }
}
