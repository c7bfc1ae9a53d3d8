// Input of a network: the columns that varied in training, standardised and clipped.

import { DetectorError } from './detector.js'
import type { Matrix } from './matrix.js'
import { StandardScaler } from './standard-scaler.js'
import { toBase64, type StateReader } from './state.js'

/**
 * Columns are clipped at this many standard deviations. Otherwise a column that hardly varied in training would
 * dominate the reconstruction error.
 */
const LIMIT = 10

/**
 * The columns with more than one value in training, standardised to mean 0 and standard deviation 1 and clipped. If all
 * are constant, only the first column.
 */
export class NetworkInput {
  private constructor(
    /** Indices in the detector's columns, ascending. */
    readonly columns: Uint32Array,
    readonly mean: Float64Array,
    readonly scale: Float64Array
  ) {}

  /** Learns the varying columns, their means and deviations. */
  static fit(data: Matrix): NetworkInput {
    const varying = Uint32Array.from({ length: data.width }, (_, j) => j).filter(j => varies(data, j))
    const columns = varying.length > 0 ? varying : Uint32Array.of(0)
    const rows = Array.from({ length: data.rows }, (_, i) =>
      Float64Array.from(columns, j => data.data[i * data.width + j])
    )
    const { mean, scale } = StandardScaler.fit(rows)
    return new NetworkInput(columns, mean, scale)
  }

  /**
   * Restores an input from the result of `state`. Throws `DetectorError` `state` if it does not match `width` columns.
   */
  static restore(reader: StateReader, width: number): NetworkInput {
    const columns = reader.array('columns', Uint32Array)
    if (columns.length === 0 || columns.some((column, k) => column >= width || (k > 0 && column <= columns[k - 1]))) {
      throw new DetectorError('state', `columns must ascend and be less than ${width}`)
    }
    const mean = reader.array('mean', Float64Array, columns.length)
    const scale = reader.array('scale', Float64Array, columns.length)
    if (scale.some(value => value <= 0)) throw new DetectorError('state', 'scale must be positive')
    return new NetworkInput(columns, mean, scale)
  }

  /** Number of columns. */
  get width(): number {
    return this.columns.length
  }

  /** Writes row i of a table with the detector's width to `target`. */
  write({ width, data }: Matrix, i: number, target: Float32Array): void {
    const { columns, mean, scale } = this
    const base = i * width
    for (let k = 0; k < columns.length; k++) {
      const value = (data[base + columns[k]] - mean[k]) / scale[k]
      target[k] = Math.max(-LIMIT, Math.min(LIMIT, value))
    }
  }

  /** Returns all rows of a table, stored consecutively. */
  table(data: Matrix): Float32Array {
    const { width } = this
    const table = new Float32Array(data.rows * width)
    for (let i = 0; i < data.rows; i++) this.write(data, i, table.subarray(i * width, (i + 1) * width))
    return table
  }

  /** Returns the state for `restore`. */
  state(): Record<string, unknown> {
    return { columns: toBase64(this.columns), mean: toBase64(this.mean), scale: toBase64(this.scale) }
  }
}

function varies({ rows, width, data }: Matrix, column: number): boolean {
  for (let i = 1; i < rows; i++) {
    if (data[i * width + column] !== data[column]) return true
  }
  return false
}
