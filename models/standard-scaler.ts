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
 * And with optional least deviations, for columns of which is known what a step worth noting is.
 */
export class StandardScaler {
  private constructor(
    /** Mean of each column in training. */
    readonly mean: Float64Array,
    /** Standard deviation of each column in training, or the least one; 1 where it was constant and has none. */
    readonly scale: Float64Array,
    /** Results are clipped to [-limit, limit]. */
    readonly limit: number
  ) {}

  /**
   * Learns means and deviations.
   * @param options.least a deviation for each column below which its own is not taken; 0 for none
   * @throws DetectorError `rows` for no rows, `width` or `not-finite` for rows that do not fit
   */
  static fit(
    rows: Rows,
    { limit = Infinity, least }: { limit?: number; least?: ArrayLike<number> } = {}
  ): StandardScaler {
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
      const floor = least?.[j] ?? 0
      scale[j] = scale[j] > noise ? Math.max(floor, Math.sqrt(scale[j])) : floor === 0 ? 1 : floor
    }
    return new StandardScaler(mean, scale, limit)
  }

  /** The scaler that `toJSON` saved; throws `DetectorError` `state` where it is not one. */
  static fromJSON(json: unknown): StandardScaler {
    const reader = new StateReader(json, 'scaler')
    const mean = reader.array('mean', Float64Array)
    const scale = reader.array('scale', Float64Array, mean.length)
    if (scale.some(value => value <= 0))
      throw new DetectorError('state', 'scaler.scale holds a number that is not positive')
    return new StandardScaler(
      mean,
      scale,
      reader.raw('limit') === null ? Infinity : reader.number('limit', Number.MIN_VALUE)
    )
  }

  /** One row, standardised and clipped. */
  transform(row: ArrayLike<number>): Float64Array {
    const { mean, scale, limit } = this
    if (row.length !== mean.length) {
      throw new DetectorError('width', `a row has ${row.length} columns where ${mean.length} are wanted`)
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
