// Points in a layout for fast, repeated comparison with rows.

import { KernelMemory } from './kernel-memory.js'
import { compiled, POINT_PANEL } from './kernels.js'

/** A fixed set of points. Computes the squared Euclidean distances of a row to all of them. */
export class PointTable {
  readonly #memory: KernelMemory
  readonly #points: Float64Array
  readonly #row: Float64Array
  readonly #output: Float64Array
  readonly #panels: number

  /**
   * @param points coordinate j of point p at `p * width + j`
   */
  constructor(
    points: Float64Array,
    readonly width: number
  ) {
    const count = points.length / width
    this.#panels = Math.ceil(count / POINT_PANEL)
    const padded = this.#panels * POINT_PANEL
    this.#memory = new KernelMemory([8 * width * padded, 8 * width, 8 * padded], compiled)
    this.#points = this.#memory.doubles(width * padded)
    this.#row = this.#memory.doubles(width)
    this.#output = this.#memory.doubles(padded)
    for (let p = 0; p < count; p++) {
      for (let j = 0; j < width; j++) {
        this.#points[(Math.floor(p / POINT_PANEL) * width + j) * POINT_PANEL + (p % POINT_PANEL)] =
          points[p * width + j]
      }
    }
  }

  /**
   * Returns the squared distances of the row that starts at `base`, one per point, possibly padded. The next call
   * overwrites them.
   */
  squaredDistances(data: Float64Array, base: number): Float64Array {
    for (let j = 0; j < this.width; j++) this.#row[j] = data[base + j]
    this.#memory.kernels.distances(
      this.#points.byteOffset,
      this.#row.byteOffset,
      this.#output.byteOffset,
      this.width,
      this.#panels
    )
    return this.#output
  }
}
