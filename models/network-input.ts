// What a network sees of a row: the columns that moved in training, standardised and clipped.

import { DetectorError } from './detector.js'
import type { Matrix } from './matrix.js'
import { StandardScaler } from './standard-scaler.js'
import { toBase64, type StateReader } from './state.js'

/**
 * Standard deviations beyond which a column says no more. A reconstruction error grows with what it
 * is given: one column that hardly moved in training would outweigh all others.
 */
const LIMIT = 10

/**
 * The columns that took more than one value in training, each to mean 0 and standard deviation 1 and
 * clipped. Where none did, the first column alone.
 */
export class NetworkInput {
  private constructor(
    /** Their indices among the detector's columns, ascending. */
    readonly columns: Uint32Array,
    readonly mean: Float64Array,
    readonly scale: Float64Array
  ) {}

  /** Learns which columns move, their means and deviations. */
  static fit(data: Matrix): NetworkInput {
    const moved = Uint32Array.from({ length: data.width }, (_, j) => j).filter(j => moves(data, j))
    const columns = moved.length > 0 ? moved : Uint32Array.of(0)
    const rows = Array.from({ length: data.rows }, (_, i) =>
      Float64Array.from(columns, j => data.data[i * data.width + j])
    )
    const { mean, scale } = StandardScaler.fit(rows)
    return new NetworkInput(columns, mean, scale)
  }

  /** What `state` gave; throws `DetectorError` `state` where it does not fit `width` columns. */
  static restore(reader: StateReader, width: number): NetworkInput {
    const columns = reader.array('columns', Uint32Array)
    if (columns.length === 0 || columns.some((column, k) => column >= width || (k > 0 && column <= columns[k - 1]))) {
      throw new DetectorError('state', `columns are not some of ${width} in order`)
    }
    const mean = reader.array('mean', Float64Array, columns.length)
    const scale = reader.array('scale', Float64Array, columns.length)
    if (scale.some(value => value <= 0)) throw new DetectorError('state', 'scale holds a number that is not positive')
    return new NetworkInput(columns, mean, scale)
  }

  /** Number of columns. */
  get width(): number {
    return this.columns.length
  }

  /** Writes row i of a table of the detector's width to `target`. */
  write({ width, data }: Matrix, i: number, target: Float32Array): void {
    const { columns, mean, scale } = this
    const base = i * width
    for (let k = 0; k < columns.length; k++) {
      const value = (data[base + columns[k]] - mean[k]) / scale[k]
      target[k] = Math.max(-LIMIT, Math.min(LIMIT, value))
    }
  }

  /** All rows of a table, one after another. */
  table(data: Matrix): Float32Array {
    const { width } = this
    const table = new Float32Array(data.rows * width)
    for (let i = 0; i < data.rows; i++) this.write(data, i, table.subarray(i * width, (i + 1) * width))
    return table
  }

  /** What `restore` takes. */
  state(): Record<string, unknown> {
    return { columns: toBase64(this.columns), mean: toBase64(this.mean), scale: toBase64(this.scale) }
  }
}

function moves({ rows, width, data }: Matrix, column: number): boolean {
  for (let i = 1; i < rows; i++) {
    if (data[i * width + column] !== data[column]) return true
  }
  return false
}
