// Statistics that the detectors share.

/**
 * Returns the q-th percentile with linear interpolation, like numpy's `percentile` by default.
 *
 * @param values at least one finite number, in any order
 * @param q in [0, 100]
 */
export function percentile(values: ArrayLike<number>, q: number): number {
  const sorted = Float64Array.from(values).sort()
  const position = (q / 100) * (sorted.length - 1)
  const below = Math.floor(position)
  const above = Math.min(below + 1, sorted.length - 1)
  const share = position - below
  const span = sorted[above] - sorted[below]
  // Interpolated from the nearer end, so that equal neighbours and both ends are exact.
  return share < 0.5 ? sorted[below] + span * share : sorted[above] - span * (1 - share)
}

/** The smallest and largest value, the mean and the population standard deviation. */
export interface Moments {
  min: number
  max: number
  mean: number
  deviation: number
}

/** Returns the {@link Moments} of at least one finite number. */
export function moments(values: ArrayLike<number>): Moments {
  let min = Infinity
  let max = -Infinity
  let sum = 0
  for (let i = 0; i < values.length; i++) {
    min = Math.min(min, values[i])
    max = Math.max(max, values[i])
    sum += values[i]
  }
  const mean = sum / values.length
  let squares = 0
  for (let i = 0; i < values.length; i++) squares += (values[i] - mean) ** 2
  return { min, max, mean, deviation: Math.sqrt(squares / values.length) }
}

/**
 * The Gauss error function, to about 1e-15. Abramowitz and Stegun, equation 7.1.6: a series without cancellation.
 */
export function erf(x: number): number {
  const size = Math.abs(x)
  if (size > 6) return Math.sign(x)
  let term = size
  let sum = size
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * size * size) / (2 * n + 1)
    sum += term
  }
  return Math.sign(x) * Math.min(1, (2 / Math.sqrt(Math.PI)) * Math.exp(-size * size) * sum)
}
