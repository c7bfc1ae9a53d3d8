// A common scale for scores of different detectors: how rare a score is among the training scores.

import { DetectorError } from './detector.js'
import { StateReader, toBase64 } from './state.js'

/** Decimal powers between two knots, and the smallest share that is read from the training scores directly. */
const STEP = 0.05
const TAIL_SHARE = 0.01
/** Minimum number of scores above that share. */
const MINIMUM_TAIL = 10
/** Minimum scale: in units of the score, and as a share of the range of all training scores. */
const MINIMUM_SCALE = 0.005
const MINIMUM_SCALE_SHARE = 0.02
/** With fewer excesses the shape cannot be estimated. With a greater shape the distribution has no mean. */
const MINIMUM_EXCESSES = 50
const MAXIMUM_SHAPE = 0.9
const LN10 = Math.log(10)

/** Result of `Tail.toJSON`. */
export interface TailJson {
  /** Training scores that a share of 10^(-0.05 k) reaches, k from 0; Float64 as base64. */
  knots: string
  /** Scale and shape of the generalised Pareto distribution of the training scores' excess over the last knot. */
  scale: number
  shape: number
}

/**
 * Converts scores to surprise: -log10 of the share of training scores that are at least as high. Above the highest
 * hundredth, where training scores are few, their excess is modelled by a generalised Pareto distribution (Pickands
 * 1975), so that surprise is unbounded and ranks unseen scores. Its shape, 0 or above, describes how far benign scores
 * extend: what is extreme for one detector is not for another.
 */
export class Tail {
  readonly #knots: Float64Array
  readonly #scale: number
  readonly #shape: number

  private constructor(knots: Float64Array, scale: number, shape: number) {
    this.#knots = knots
    this.#scale = scale
    this.#shape = shape
  }

  /** @param scores of training rows, at least one, finite, in any order */
  static fit(scores: ArrayLike<number>): Tail {
    const sorted = Float64Array.from(scores).sort()
    const share = Math.max(TAIL_SHARE, Math.min(1, MINIMUM_TAIL / sorted.length))
    const steps = Math.floor(-Math.log10(share) / STEP + 1e-9)
    const knots = Float64Array.from({ length: steps + 1 }, (_, k) => {
      const rank = Math.round(10 ** (-k * STEP) * sorted.length)
      return sorted[sorted.length - Math.max(1, Math.min(sorted.length, rank))]
    })
    // If all training rows are alike, a tiny difference must not give a high surprise.
    const least = Math.max(MINIMUM_SCALE, MINIMUM_SCALE_SHARE * (sorted[sorted.length - 1] - sorted[0]))
    const last = knots[steps]
    const { scale, shape } = fitExcesses(sorted.filter(score => score > last).map(score => score - last))
    return new Tail(knots, Math.max(scale, least), shape)
  }

  /** @throws DetectorError `state` if it is not the result of `toJSON` */
  static fromJSON(json: unknown): Tail {
    const reader = new StateReader(json, 'tail')
    const knots = reader.array('knots', Float64Array)
    if (knots.length === 0 || knots.some((knot, k) => !Number.isFinite(knot) || (k > 0 && knot < knots[k - 1]))) {
      throw new DetectorError('state', 'tail.knots do not ascend')
    }
    return new Tail(knots, reader.number('scale', Number.MIN_VALUE), reader.number('shape', 0, MAXIMUM_SHAPE))
  }

  /** Returns the surprise of a score, at least 0: 2 is one in a hundred. */
  surprise(score: number): number {
    const knots = this.#knots
    const scale = this.#scale
    const shape = this.#shape
    const last = knots.length - 1
    if (score > knots[last]) {
      const excess = (score - knots[last]) / scale
      return knots.indexOf(knots[last]) * STEP + (shape === 0 ? excess : Math.log1p(shape * excess) / shape) / LN10
    }
    let low = 0
    let high = last
    // The first knot not below the score, so that equal scores have equal surprise.
    while (low < high) {
      const middle = (low + high) >> 1
      if (knots[middle] < score) low = middle + 1
      else high = middle
    }
    if (low === 0) return 0
    const span = knots[low] - knots[low - 1]
    return (low - 1 + (score - knots[low - 1]) / span) * STEP
  }

  toJSON(): TailJson {
    return { knots: toBase64(this.#knots), scale: this.#scale, shape: this.#shape }
  }
}

/** Fits excesses in ascending order by probability-weighted moments (Hosking and Wallis 1987). */
function fitExcesses(excesses: Float64Array): { scale: number; shape: number } {
  const count = excesses.length
  let mean = 0
  let weighted = 0
  excesses.forEach((excess, i) => {
    mean += excess / count
    weighted += ((1 - (i + 0.65) / count) * excess) / count
  })
  const shape = count < MINIMUM_EXCESSES ? 0 : Math.min(MAXIMUM_SHAPE, Math.max(0, 2 - mean / (mean - 2 * weighted)))
  return { scale: mean * (1 - shape), shape }
}
