// The three rules that turn a subject's outlier probabilities into an alert.

import { Ewma } from './ewma.js'
import type { Share } from './subjects.js'

/**
 * `jump`: the paper's rule; the moving average rises by more than it ever did on benign traffic. `level`: the moving
 * average is higher than it ever was on benign traffic. `cusum`: packets repeatedly exceed the reference (Page 1954),
 * which detects attacks that rise slowly or persist.
 */
export type RuleName = 'jump' | 'level' | 'cusum'

/** All rules in order of evaluation, the paper's first. */
export const RULES: readonly RuleName[] = Object.freeze(['jump', 'level', 'cusum'])

/** Baseline of benign traffic, with the alert limits. Probabilities in [0, 1]. */
export interface Baseline {
  /** Mean outlier probability: initial value of every moving average. */
  mean: number
  /** Outlier probability above which a packet increases the CUSUM. */
  reference: number
  /** Limit of each rule. */
  limits: Record<RuleName, number>
}

/** Values of a subject after a batch. */
export interface Figures {
  /** Records in the batch. */
  records: number
  average: number
  /** Moving average before and after the batch. */
  previous: number
  current: number
  values: Record<RuleName, number>
}

/** A rule that was exceeded. */
export interface ExceededRule {
  rule: RuleName
  value: number
  limit: number
}

/** Smoothed state of one subject: the gateway, or a client. */
export class SubjectState {
  readonly #ewma: Ewma
  #sum = 0
  readonly #baseline: Baseline

  constructor(baseline: Baseline, weight: number) {
    this.#baseline = baseline
    this.#ewma = new Ewma(weight, baseline.mean)
  }

  /** Whether at least one batch was processed. */
  hasFigures = false

  /** The moving average now. */
  get movingAverage(): number {
    return this.#ewma.current
  }

  /** Adds the subject's share of one batch, with at least one record. */
  update({ total, count, packetTotal, packets }: Omit<Share, 'worst' | 'worstProbability' | 'connections'>): Figures {
    this.hasFigures = true
    const jump = this.#ewma.update(total / count)
    // Capped, so that the alert does not outlast a long attack by as much again.
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

/** With fewer records a mean is not representative: only `cusum` is evaluated, which accumulates. */
export const MINIMUM_RECORDS = 5

/** Returns the rules to evaluate after a batch. */
export function applicableRules({ records }: Figures): readonly RuleName[] {
  return records < MINIMUM_RECORDS ? ['cusum'] : RULES
}

/** Returns the rules that the figures exceed. */
export function exceededRules(figures: Figures, { limits }: Baseline): ExceededRule[] {
  const { values } = figures
  return applicableRules(figures)
    .filter(rule => values[rule] > limits[rule])
    .map(rule => ({ rule, value: values[rule], limit: limits[rule] }))
}
