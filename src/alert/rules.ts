// The three rules by which a subject's outlier probabilities become an alert, and how their limits are learnt.

import { Ewma } from './ewma.js'
import type { Share } from './subjects.js'

/**
 * `jump`: the paper's rule, the moving average rises by more than it ever did on benign traffic.
 * `level`: it stands higher than it ever did. `cusum`: packets exceed what is usual again and again
 * (Page 1954); it sees the attack that rises slowly or simply stays.
 */
export type RuleName = 'jump' | 'level' | 'cusum'

/** Every rule, in the order in which they are asked: the paper's first. */
export const RULES: readonly RuleName[] = Object.freeze(['jump', 'level', 'cusum'])

/** What benign traffic looked like, and from where on it is an alert. Probabilities in [0, 1]. */
export interface Baseline {
  /** Mean outlier probability: where every moving average begins. */
  mean: number
  /** What a packet may have without the sum growing. */
  reference: number
  /** Limit of each rule. */
  limits: Record<RuleName, number>
}

/** A subject's figures after a batch. */
export interface Figures {
  /** Records in the batch. */
  records: number
  average: number
  /** The moving average before and after. */
  previous: number
  current: number
  values: Record<RuleName, number>
}

/** A rule that was exceeded. */
export interface Trip {
  rule: RuleName
  value: number
  limit: number
}

/** The smoothed state of one subject: the gateway, or a client. */
export class SubjectState {
  readonly #ewma: Ewma
  #sum = 0
  readonly #baseline: Baseline

  constructor(baseline: Baseline, weight: number) {
    this.#baseline = baseline
    this.#ewma = new Ewma(weight, baseline.mean)
  }

  /** Whether a batch was ever taken. */
  hasFigures = false

  /** The moving average now. */
  get movingAverage(): number {
    return this.#ewma.current
  }

  /** Takes the subject's share of one batch: at least one record. */
  update({ total, count, packetTotal, packets }: Omit<Share, 'worst' | 'worstProbability' | 'connections'>): Figures {
    this.hasFigures = true
    const jump = this.#ewma.update(total / count)
    // Capped, so that a long attack does not keep its alert alive for as long again.
    const cap = 2 * this.#baseline.limits.cusum
    this.#sum = Math.min(cap, Math.max(0, this.#sum + packetTotal - packets * this.#baseline.reference))
    return {
      records: count,
      average: total / count,
      previous: this.#ewma.previous,
      current: this.#ewma.current,
      values: { jump, level: this.#ewma.current, cusum: this.#sum }
    }
  }
}

/** The mean of fewer records says little: `jump` and `level` are not asked then. The sum of `cusum` bides its time. */
export const TELLING_RECORDS = 5

/** The rules that are asked after a batch. */
export function askedRules({ records }: Figures): readonly RuleName[] {
  return records < TELLING_RECORDS ? ['cusum'] : RULES
}

/** The rules that the figures exceed. */
export function exceeded(figures: Figures, { limits }: Baseline): Trip[] {
  const { values } = figures
  return askedRules(figures)
    .filter(rule => values[rule] > limits[rule])
    .map(rule => ({ rule, value: values[rule], limit: limits[rule] }))
}
