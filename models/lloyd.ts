// One run of k-means: initial centres, and Lloyd's iteration.

import { Centers } from './centers.js'
import { squaredDistance, type Matrix } from './matrix.js'
import type { Random } from './random.js'

/** Centres, each row's centre, and the sum of squared distances. */
export interface Partition {
  centers: Centers
  assignment: Uint32Array
  inertia: number
}

/**
 * Chooses initial centres by k-means++ (Arthur and Vassilvitskii 2007): rows are drawn in proportion to their squared
 * distance from the centres so far. Of 2 + ln k candidates, the one with the least total distance is used.
 */
export function seedCenters({ rows, width, data }: Matrix, count: number, random: Random): Centers {
  const centers = new Float64Array(count * width)
  const trials = 2 + Math.floor(Math.log(count))
  let nearest = new Float64Array(rows).fill(Infinity)
  const withRow = (row: number) =>
    nearest.map((distance, i) => Math.min(distance, squaredDistance(data, i * width, data, row * width, width)))
  for (let c = 0; c < count; c++) {
    const candidates =
      c === 0 ? [random.integer(rows)] : Array.from({ length: trials }, () => drawByWeight(nearest, random))
    let best = { row: candidates[0], distances: nearest, total: Infinity }
    for (const row of new Set(candidates)) {
      const distances = withRow(row)
      const total = distances.reduce((sum, distance) => sum + distance, 0)
      if (total < best.total) best = { row, distances, total }
    }
    nearest = best.distances
    centers.set(data.subarray(best.row * width, (best.row + 1) * width), c * width)
  }
  return new Centers(count, width, centers, new Uint8Array(count))
}

function drawByWeight(weights: Float64Array, random: Random): number {
  let rest = random.uniform() * weights.reduce((sum, weight) => sum + weight, 0)
  for (let i = 0; i < weights.length; i++) {
    rest -= weights[i]
    if (rest < 0) return i
  }
  // All weights are 0: every row is already a centre.
  return random.integer(weights.length)
}

/** Alternates between assigning rows and moving centres until the assignment is stable, at most `maxIter` times. */
export async function iterateLloyd(
  data: Matrix,
  start: Centers,
  maxIter: number,
  turn: () => Promise<void>
): Promise<Partition> {
  let centers = start
  let partition = assign(data, centers)
  for (let iteration = 0; iteration < maxIter; iteration++) {
    await turn()
    centers = moveCenters(data, partition)
    const next = assign(data, centers)
    const isStable = next.assignment.every((center, i) => center === partition.assignment[i])
    partition = next
    if (isStable) break
  }
  return partition
}

function assign(data: Matrix, centers: Centers): Partition {
  const assignment = new Uint32Array(data.rows)
  let inertia = 0
  for (let i = 0; i < data.rows; i++) {
    const { center, squared } = centers.nearest(data.data, i * data.width)
    assignment[i] = center
    inertia += squared
  }
  return { centers, assignment, inertia }
}

function moveCenters({ rows, width, data }: Matrix, { centers, assignment }: Partition): Centers {
  const moved = new Float64Array(centers.count * width)
  const sizes = new Float64Array(centers.count)
  for (let i = 0; i < rows; i++) {
    const base = assignment[i] * width
    sizes[assignment[i]]++
    for (let j = 0; j < width; j++) moved[base + j] += data[i * width + j]
  }
  for (let c = 0; c < centers.count; c++) {
    for (let j = 0; j < width; j++) {
      // A centre without rows is not moved.
      moved[c * width + j] = sizes[c] > 0 ? moved[c * width + j] / sizes[c] : centers.data[c * width + j]
    }
  }
  return new Centers(centers.count, width, moved, centers.outlier)
}
