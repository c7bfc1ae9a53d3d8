// Scores of different detectors on one scale: how rare a score is among the training scores.

import { DetectorError } from './detector.js'
import { StateReader, toBase64 } from './state.js'

/** Decimal powers between two knots, and the rarest share that training scores are asked for themselves. */
const STEP = 0.05
const TAIL_SHARE = 0.01
/** Scores above that share at least, however few there are in all. */
const LEAST_TAIL = 10
/** Scale at least: in units of the score, and as a share of the range of all training scores. */
const LEAST_EXCESS = 0.005
const LEAST_EXCESS_SHARE = 0.02
/** With fewer excesses their shape is not to be told; with a greater shape they would have no mean. */
const TELLING_EXCESSES = 50
const MOST_SHAPE = 0.9
const LN10 = Math.log(10)

/** What `Tail.toJSON` gives. */
export interface TailJson {
  /** Training score that a share of 10^(-0.05 k) of all reaches, k from 0; Float64 as base64. */
  knots: string
  /** Scale and shape of the generalised Pareto distribution of the training scores' excess over the last knot. */
  scale: number
  shape: number
}

/**
 * Turns scores into surprise: -log10 of the share of training scores that are as high. Beyond the
 * highest hundredth, where training scores are few, their excess is taken for one of the generalised Pareto
 * distributions (Pickands 1975), so that surprise grows without end and ranks what was never seen. Its shape,
 * 0 or above, says how far benign scores themselves reach: what is far out for one detector is not for another.
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
    const share = Math.max(TAIL_SHARE, Math.min(1, LEAST_TAIL / sorted.length))
    const steps = Math.floor(-Math.log10(share) / STEP + 1e-9)
    const knots = Float64Array.from({ length: steps + 1 }, (_, k) => {
      const rank = Math.round(10 ** (-k * STEP) * sorted.length)
      return sorted[sorted.length - Math.max(1, Math.min(sorted.length, rank))]
    })
    // Training rows that are all alike must not make the next one, a hair's breadth off, a wonder.
    const least = Math.max(LEAST_EXCESS, LEAST_EXCESS_SHARE * (sorted[sorted.length - 1] - sorted[0]))
    const last = knots[steps]
    const { scale, shape } = fitExcesses(sorted.filter(score => score > last).map(score => score - last))
    return new Tail(knots, Math.max(scale, least), shape)
  }

  /** @throws DetectorError `state` where `toJSON` did not give it */
  static fromJSON(json: unknown): Tail {
    const reader = new StateReader(json, 'tail')
    const knots = reader.array('knots', Float64Array)
    if (knots.length === 0 || knots.some((knot, k) => !Number.isFinite(knot) || (k > 0 && knot < knots[k - 1]))) {
      throw new DetectorError('state', 'tail.knots do not ascend')
    }
    return new Tail(knots, reader.number('scale', Number.MIN_VALUE), reader.number('shape', 0, MOST_SHAPE))
  }

  /** Surprise of a score, at least 0: 2 is one in a hundred. */
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
    // The first knot that is not below the score: of equal scores all are as high.
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

/** By probability-weighted moments (Hosking and Wallis 1987); of excesses in ascending order. */
function fitExcesses(excesses: Float64Array): { scale: number; shape: number } {
  const count = excesses.length
  let mean = 0
  let weighted = 0
  excesses.forEach((excess, i) => {
    mean += excess / count
    weighted += ((1 - (i + 0.65) / count) * excess) / count
  })
  const shape = count < TELLING_EXCESSES ? 0 : Math.min(MOST_SHAPE, Math.max(0, 2 - mean / (mean - 2 * weighted)))
  return { scale: mean * (1 - shape), shape }
}
