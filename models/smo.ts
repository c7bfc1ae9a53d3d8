// Solves the quadratic programme of the one-class support vector machine, two variables at a time.

import { gaussian } from './gaussian.js'
import { squaredDistance, type Matrix } from './matrix.js'

/** Bytes of cached kernel rows. */
const CACHE_BYTES = 256 * 2 ** 20

/** Iterations between two calls of `turn`. */
const STEP_ITERATIONS = 200

/** Replaces a curvature that is not positive (identical rows). */
const MINIMUM_CURVATURE = 1e-12

/** The solution: a weight in [0, 1] per row, and the offset of the decision function. */
export interface Solution {
  alpha: Float64Array
  rho: number
}

/**
 * Minimises 1/2 a'Ka subject to 0 <= a <= 1, sum a = nu * rows (Schoelkopf et al. 2001), by sequential minimal
 * optimisation with second-order selection of the pair (Fan, Chen and Lin 2005). The steps are those of LIBSVM without
 * shrinking, so the solution is the same within `tolerance`.
 *
 * @param tolerance violation of the optimality conditions at which to stop
 * @param turn called repeatedly with the remaining violation
 */
export async function solveOneClass(
  data: Matrix,
  gamma: number,
  nu: number,
  tolerance: number,
  turn: (violation: number) => Promise<void>
): Promise<Solution> {
  const { rows } = data
  const kernelRow = cachedKernel(data, gamma)
  const alpha = startingWeights(rows, nu)
  const gradient = new Float64Array(rows)
  for (let i = 0; i < rows; i++) {
    if (alpha[i] === 0) continue
    const row = kernelRow(i)
    for (let k = 0; k < rows; k++) gradient[k] += alpha[i] * row[k]
    if (i % STEP_ITERATIONS === 0) await turn(Infinity)
  }
  // LIBSVM's limit. Such a problem takes a few iterations per row.
  const limit = Math.max(1e7, 100 * rows)
  for (let iteration = 1; iteration <= limit; iteration++) {
    const pair = choosePair(alpha, gradient, kernelRow)
    if (pair.violation < tolerance) break
    if (iteration % STEP_ITERATIONS === 0) await turn(pair.violation)
    const { up, down } = pair
    const rowUp = kernelRow(up)
    const rowDown = kernelRow(down)
    const curvature = Math.max(2 - 2 * rowUp[down], MINIMUM_CURVATURE)
    const room = Math.min(1 - alpha[up], alpha[down])
    const delta = Math.min((gradient[down] - gradient[up]) / curvature, room)
    // Assigned at a bound, so that the value is exactly 0 or 1.
    alpha[up] = delta === 1 - alpha[up] ? 1 : alpha[up] + delta
    alpha[down] = delta === alpha[down] ? 0 : alpha[down] - delta
    for (let k = 0; k < rows; k++) gradient[k] += delta * (rowUp[k] - rowDown[k])
  }
  return { alpha, rho: offset(alpha, gradient) }
}

/** LIBSVM's initial values: the first nu * rows weights are 1. */
function startingWeights(rows: number, nu: number): Float64Array {
  const full = Math.floor(nu * rows)
  const alpha = new Float64Array(rows).fill(1, 0, full)
  if (full < rows) alpha[full] = nu * rows - full
  return alpha
}

/** Returns the weight to increase and the one to decrease, and the violation of optimality. */
function choosePair(
  alpha: Float64Array,
  gradient: Float64Array,
  kernelRow: (i: number) => Float32Array
): { up: number; down: number; violation: number } {
  let up = -1
  let lowest = Infinity
  let highest = -Infinity
  for (let k = 0; k < alpha.length; k++) {
    if (alpha[k] < 1 && gradient[k] < lowest) {
      lowest = gradient[k]
      up = k
    }
    if (alpha[k] > 0 && gradient[k] > highest) highest = gradient[k]
  }
  let down = -1
  if (up !== -1) {
    const row = kernelRow(up)
    let greatestGain = -Infinity
    for (let k = 0; k < alpha.length; k++) {
      const slope = gradient[k] - lowest
      if (alpha[k] === 0 || slope <= 0) continue
      const gain = (slope * slope) / Math.max(2 - 2 * row[k], MINIMUM_CURVATURE)
      if (gain > greatestGain) {
        greatestGain = gain
        down = k
      }
    }
  }
  return { up, down, violation: down === -1 ? 0 : highest - lowest }
}

/** Returns the mean gradient of the rows on the boundary, or the midpoint of the bounds if there are none. */
function offset(alpha: Float64Array, gradient: Float64Array): number {
  let free = 0
  let sum = 0
  let upper = Infinity
  let lower = -Infinity
  for (let k = 0; k < alpha.length; k++) {
    if (alpha[k] === 0) {
      upper = Math.min(upper, gradient[k])
    } else if (alpha[k] === 1) {
      lower = Math.max(lower, gradient[k])
    } else {
      free++
      sum += gradient[k]
    }
  }
  if (free > 0) return sum / free
  if (!Number.isFinite(upper)) return lower
  return (upper + lower) / 2
}

function cachedKernel({ rows, width, data }: Matrix, gamma: number): (i: number) => Float32Array {
  const capacity = Math.max(2, Math.floor(CACHE_BYTES / (4 * rows)))
  const cache = new Map<number, Float32Array>()
  return i => {
    let row = cache.get(i)
    if (row === undefined) {
      if (cache.size >= capacity) {
        const [oldest] = cache.keys()
        cache.delete(oldest)
      }
      row = new Float32Array(rows)
      for (let k = 0; k < rows; k++) row[k] = gaussian(gamma, squaredDistance(data, i * width, data, k * width, width))
    } else {
      cache.delete(i)
    }
    // Reinserted last, so that the first row is the least recently used.
    cache.set(i, row)
    return row
  }
}
