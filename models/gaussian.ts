// The Gaussian kernel, of which a score of a one-class support vector machine takes a thousand.

/** Steps to a halving; a power of two. */
const STEPS = 256
const STEPS_BITS = Math.log2(STEPS)
const STEP = Math.LN2 / STEPS
const STEPS_PER_UNIT = 1 / STEP
/** Beyond it, e^-x is less than any double. */
const VANISHED = 745

const FRACTIONS = Float64Array.from({ length: STEPS }, (_, k) => 2 ** (-k / STEPS))
const HALVINGS = Float64Array.from({ length: Math.ceil(VANISHED / Math.LN2) + 1 }, (_, k) => 2 ** -k)

/**
 * exp(-gamma * squared), of which neither is negative, to about 1e-13 of its size; three times as fast as `Math.exp`,
 * and the same on every machine. With x = n steps + rest, e^-x is 2^(-n / STEPS) times the series of e^-rest.
 */
export function gaussian(gamma: number, squared: number): number {
  const x = gamma * squared
  if (!(x < VANISHED)) return 0
  const n = Math.trunc(x * STEPS_PER_UNIT + 0.5)
  const rest = x - n * STEP
  const square = rest * rest
  const series = 1 - rest + square * (0.5 - rest * (1 / 6) + square * (1 / 24))
  return series * FRACTIONS[n & (STEPS - 1)] * HALVINGS[n >> STEPS_BITS]
}
