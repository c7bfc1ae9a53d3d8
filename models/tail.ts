// Scores of different detectors on one scale: how rare a score is among the training scores.

import { DetectorError } from './detector.js'
import { StateReader, toBase64 } from './state.js'

/** Decimal powers between two knots, and the rarest share that training scores are asked for themselves. */
const STEP = 0.05
const TAIL_SHARE = 0.01
/** Scores above that share at least, however few there are in all. */
const LEAST_TAIL = 10
/** Mean excess at least: in units of the score, and as a share of the range of all training scores. */
const LEAST_EXCESS = 0.005
const LEAST_EXCESS_SHARE = 0.02
const LN10 = Math.log(10)

/** What `Tail.toJSON` gives. */
export interface TailJson {
  /** Training score that a share of 10^(-0.05 k) of all reaches, k from 0; Float64 as base64. */
  knots: string
  /** Mean excess of the training scores over the last knot. */
  excess: number
}

/**
 * Turns scores into surprise: -log10 of the share of training scores that are as high. Beyond the
 * highest hundredth, where training scores are few, their excess is taken for exponential (the
 * Gumbel case of Pickands 1975), so that surprise grows without end and ranks what was never seen.
 */
export class Tail {
  private constructor (private readonly knots: Float64Array, private readonly excess: number, private readonly shape = 0) {}

  /** @param scores of training rows, at least one, finite, in any order */
  static fit (scores: ArrayLike<number>): Tail {
    const sorted = Float64Array.from(scores).sort()
    const share = Math.max(TAIL_SHARE, Math.min(1, LEAST_TAIL / sorted.length))
    const steps = Math.floor(-Math.log10(share) / STEP + 1e-9)
    const knots = Float64Array.from({ length: steps + 1 }, (_, k) => {
      const rank = Math.round(10 ** (-k * STEP) * sorted.length)
      return sorted[sorted.length - Math.max(1, Math.min(sorted.length, rank))]
    })
    const last = knots[steps]
    const ys = [...sorted].filter(v => v > last).map(v => v - last)
    const n = ys.length
    let a0 = 0, a1 = 0
    ys.forEach((y, i) => { a0 += y / n; a1 += (1 - (i + 1 - 0.35) / n) * y / n })
    const least = Math.max(LEAST_EXCESS, LEAST_EXCESS_SHARE * (sorted[sorted.length - 1] - sorted[0]))
    let shape = n < 10 ? 0 : 2 - a0 / (a0 - 2 * a1)
    let scale = n < 10 ? a0 : 2 * a0 * a1 / (a0 - 2 * a1)
    const cap = Number(process.env.XI ?? 1)
    if (!(shape > 0)) { shape = 0; scale = a0 }
    if (shape > cap) { shape = cap; scale = a0 * (1 - Math.min(cap, 0.9)) }
    if (process.env.TAILS) console.error('tail', n, 'xi', shape.toFixed(3), 'scale', scale.toFixed(3), 'mean', a0.toFixed(3), 'least', least.toFixed(3))
    return new Tail(knots, Math.max(scale, least), shape)
  }

  /** @throws DetectorError `state` where `toJSON` did not give it */
  static fromJSON (json: unknown): Tail {
    const reader = new StateReader(json, 'tail')
    const knots = reader.array('knots', Float64Array)
    if (knots.length === 0 || knots.some((knot, k) => !Number.isFinite(knot) || (k > 0 && knot < knots[k - 1]))) {
      throw new DetectorError('state', 'tail.knots do not ascend')
    }
    return new Tail(knots, reader.number('excess', Number.MIN_VALUE))
  }

  /** Surprise of a score, at least 0: 2 is one in a hundred. */
  surprise (score: number): number {
    const { knots, excess } = this
    const last = knots.length - 1
    if (score > knots[last]) { const y = (score - knots[last]) / excess; return knots.indexOf(knots[last]) * STEP + (this.shape < 1e-6 ? y : Math.log1p(this.shape * y) / this.shape) / LN10 }
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

  toJSON (): TailJson {
    return { knots: toBase64(this.knots), excess: this.excess }
  }
}
