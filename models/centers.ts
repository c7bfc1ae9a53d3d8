// Centres of clusters that rows are compared with, each of inliers or outliers.

import { DetectorError } from './detector.js'
import { squaredDistance, type Matrix } from './matrix.js'
import { PointTable } from './point-table.js'
import { toBase64, type StateReader } from './state.js'

/**
 * Cluster centres, some of them of outliers. A row's score is its distance to the nearest inlier centre, minus its
 * distance to the nearest outlier centre if there is one.
 */
export class Centers {
  #table: PointTable | undefined

  constructor(
    readonly count: number,
    readonly width: number,
    /** Coordinate j of centre c at `c * width + j`. */
    readonly data: Float64Array,
    /** 1 for outlier centres; all 0 if scores are plain distances. */
    readonly outlier: Uint8Array
  ) {}

  /** Restores centres from the result of `state`. Throws `DetectorError` `state` if it is invalid. */
  static restore(reader: StateReader, width: number): Centers {
    const outlier = reader.array('outlier', Uint8Array)
    if (outlier.length === 0 || !outlier.includes(0)) throw new DetectorError('state', 'there is no inlier centre')
    return new Centers(outlier.length, width, reader.array('centers', Float64Array, outlier.length * width), outlier)
  }

  /** Returns the centre nearest to a row of another table, except one, and the squared distance; 0 if there is none. */
  nearest(data: Float64Array, base: number, except = -1): { center: number; squared: number } {
    let center = -1
    let squared = Infinity
    for (let c = 0; c < this.count; c++) {
      if (c === except) continue
      const distance = squaredDistance(data, base, this.data, c * this.width, this.width)
      if (distance < squared) {
        squared = distance
        center = c
      }
    }
    return center === -1 ? { center: 0, squared: 0 } : { center, squared }
  }

  /** Returns the score of each row. */
  scores({ rows, data }: Matrix): Float64Array {
    const { count, width, outlier } = this
    const anyOutlier = outlier.includes(1)
    const scores = new Float64Array(rows)
    // Created lazily: centres of intermediate iterations score nothing.
    this.#table ??= new PointTable(this.data, width)
    for (let i = 0; i < rows; i++) {
      const distances = this.#table.squaredDistances(data, i * width)
      scores[i] = anyOutlier
        ? Math.sqrt(leastOf(distances, count, outlier, 0)) - Math.sqrt(leastOf(distances, count, outlier, 1))
        : Math.sqrt(least(distances, count))
    }
    return scores
  }

  state(): Record<string, string> {
    return { centers: toBase64(this.data), outlier: toBase64(this.outlier) }
  }
}

/** Returns the least of the first `count` values. */
function least(values: Float64Array, count: number): number {
  let least = values[0]
  for (let c = 1; c < count; c++) {
    if (values[c] < least) least = values[c]
  }
  return least
}

/** Returns the least of the first `count` values of a kind. */
function leastOf(values: Float64Array, count: number, kinds: Uint8Array, kind: number): number {
  let least = Infinity
  for (let c = 0; c < count; c++) {
    if (kinds[c] === kind && values[c] < least) least = values[c]
  }
  return least
}
