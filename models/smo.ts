// The quadratic programme of the one-class support vector machine, solved two variables at a time.

import { gaussian } from './gaussian.js'
import { squaredDistance, type Matrix } from './matrix.js'

/** Bytes of kernel rows that are kept while solving. */
const CACHE_BYTES = 256 * 2 ** 20

/** Iterations between two turns of the event loop. */
const TURN_ITERATIONS = 200

/** What stands for a curvature that is not positive: two rows alike. */
const FLAT = 1e-12

/** The solution: a weight in [0, 1] for each row, and the decision's offset. */
export interface Solution {
  alpha: Float64Array
  rho: number
}

/**
 * Minimises 1/2 a'Ka subject to 0 <= a <= 1, sum a = nu * rows (Schoelkopf et al. 2001), by sequential
 * minimal optimisation with second-order choice of the pair (Fan, Chen and Lin 2005): the steps of
 * LIBSVM without shrinking, hence its solution within `tolerance`.
 * @param tolerance violation of the optimality conditions at which to stop
 * @param turn called now and then with the violation left
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
    if (i % TURN_ITERATIONS === 0) await turn(Infinity)
  }
  // LIBSVM's bound; a problem of this kind takes a few iterations per row.
  const limit = Math.max(1e7, 100 * rows)
  for (let iteration = 1; iteration <= limit; iteration++) {
    const pair = choosePair(alpha, gradient, kernelRow)
    if (pair.violation < tolerance) break
    if (iteration % TURN_ITERATIONS === 0) await turn(pair.violation)
    const { up, down } = pair
    const rowUp = kernelRow(up)
    const rowDown = kernelRow(down)
    const curvature = Math.max(2 - 2 * rowUp[down], FLAT)
    const room = Math.min(1 - alpha[up], alpha[down])
    const move = Math.min((gradient[down] - gradient[up]) / curvature, room)
    // Set, not added, at a bound: what is left must be exactly 0 or 1.
    alpha[up] = move === 1 - alpha[up] ? 1 : alpha[up] + move
    alpha[down] = move === alpha[down] ? 0 : alpha[down] - move
    for (let k = 0; k < rows; k++) gradient[k] += move * (rowUp[k] - rowDown[k])
  }
  return { alpha, rho: offset(alpha, gradient) }
}

/** LIBSVM's start: the first nu * rows weights are 1. */
function startingWeights(rows: number, nu: number): Float64Array {
  const whole = Math.floor(nu * rows)
  const alpha = new Float64Array(rows).fill(1, 0, whole)
  if (whole < rows) alpha[whole] = nu * rows - whole
  return alpha
}

/** The weight to raise and the one to lower, and how far from optimal the two are. */
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
      const gain = (slope * slope) / Math.max(2 - 2 * row[k], FLAT)
      if (gain > greatestGain) {
        greatestGain = gain
        down = k
      }
    }
  }
  return { up, down, violation: down === -1 ? 0 : highest - lowest }
}

/** The mean gradient of the rows on the boundary, or the middle of what the bounds allow. */
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
  const most = Math.max(2, Math.floor(CACHE_BYTES / (4 * rows)))
  const cache = new Map<number, Float32Array>()
  return i => {
    let row = cache.get(i)
    if (row === undefined) {
      if (cache.size >= most) {
        const [oldest] = cache.keys()
        cache.delete(oldest)
      }
      row = new Float32Array(rows)
      for (let k = 0; k < rows; k++) row[k] = gaussian(gamma, squaredDistance(data, i * width, data, k * width, width))
    } else {
      cache.delete(i)
    }
    // Put last, so that the first is the one unused for longest.
    cache.set(i, row)
    return row
  }
}
