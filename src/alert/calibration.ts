// Learns from benign traffic where the limits of the rules lie.

import type { TrafficRecord } from '../record.js'
import type { Baselines } from './baselines.js'
import { Batches, type BatchLimits } from './batches.js'
import { askedRules, type Baseline, type RuleName } from './rules.js'
import { DEFAULT_SMOOTHING, Smoothing, type SmoothingSettings } from './smoothing.js'
import { GATEWAY, sharesOf, type Share } from './subjects.js'

/** Clients with fewer packets say nothing about what is usual for a client. */
const TELLING_PACKETS = 20
/** How far beyond the most abnormal benign figure a limit is set: a share of its height above normal, and a floor. */
const MARGIN = {
  jump: { share: 0.25, floor: 0.02 },
  level: { share: 0.25, floor: 0.02 },
  cusum: { share: 1, floor: 3 }
}
/** How far above the most abnormal benign client's mean a packet may be without the sum growing. */
const REFERENCE_SLACK = 0.02

/** Of records, as {@link sharesOf} takes them. */
export interface Probabilities {
  probabilities: Float64Array
  ownProbabilities: Float64Array
}

interface Mean {
  total: number
  count: number
}

function meanOf({ total, count }: Mean): number {
  return count === 0 ? 0 : total / count
}

/** The second pass, and the highest figures so far. */
interface Rehearsal {
  smoothing: Smoothing
  baselines: Baselines
  highest: Record<'gateway' | 'client', Record<RuleName, number>>
}

/**
 * Two passes over the same kind of traffic: {@link observe} tells what is usual, which gives the
 * CUSUM its reference; {@link rehearse} runs the rules with no limit and notes how high they get.
 * Further benign traffic may follow with `rehearse` alone.
 */
export class Calibration {
  readonly #records: Mean = { total: 0, count: 0 }
  readonly #packets: Mean = { total: 0, count: 0 }
  readonly #clients = new Map<string, Mean>()
  #rehearsal: Rehearsal | undefined
  readonly #settings: SmoothingSettings

  constructor(settings: SmoothingSettings = DEFAULT_SMOOTHING) {
    this.#settings = settings
  }

  /** First pass: what is usual. */
  observe(shares: ReadonlyMap<string, Share>): void {
    for (const [key, { total, count, packetTotal, packets }] of shares) {
      if (key === GATEWAY) add(this.#records, total, count)
      add(key === GATEWAY ? this.#packets : this.#clientMean(key), packetTotal, packets)
    }
  }

  /** Second pass: how high the figures get. */
  rehearse(shares: ReadonlyMap<string, Share>): void {
    this.#rehearsal ??= this.#startRehearsal()
    const { smoothing, highest } = this.#rehearsal
    smoothing.update(shares, (key, _share, figures) => {
      const scope = highest[key === GATEWAY ? 'gateway' : 'client']
      for (const rule of askedRules(figures)) scope[rule] = Math.max(scope[rule], figures.values[rule])
    })
  }

  /**
   * Both passes over the same records, cut into batches; the probabilities are those of `sharesOf`, one for each
   * record.
   */
  learn(
    records: readonly TrafficRecord[],
    { probabilities, ownProbabilities }: Probabilities,
    limits: BatchLimits
  ): void {
    const shares: ReadonlyMap<string, Share>[] = []
    let start = 0
    const batches = new Batches(limits, batch => {
      const end = start + batch.length
      shares.push(sharesOf(batch, probabilities.subarray(start, end), ownProbabilities.subarray(start, end)))
      start = end
    })
    for (const record of records) batches.push(record)
    batches.flush()
    for (const share of shares) this.observe(share)
    for (const share of shares) this.rehearse(share)
  }

  /** The limits, from the highest figures seen and a margin. */
  baselines(): Baselines {
    const { baselines, highest } = this.#rehearsal ?? this.#startRehearsal()
    return {
      gateway: { ...baselines.gateway, limits: limitsFrom(baselines.gateway, highest.gateway) },
      client: { ...baselines.client, limits: limitsFrom(baselines.client, highest.client) }
    }
  }

  #startRehearsal(): Rehearsal {
    const mean = meanOf(this.#records)
    const usual = meanOf(this.#packets)
    const means = [...this.#clients.values()].filter(({ count }) => count >= TELLING_PACKETS).map(meanOf)
    const unlimited = { jump: Infinity, level: Infinity, cusum: Infinity }
    const baselines = {
      gateway: { mean, reference: usual + REFERENCE_SLACK, limits: unlimited },
      client: { mean, reference: Math.max(usual, ...means) + REFERENCE_SLACK, limits: unlimited }
    }
    return {
      smoothing: new Smoothing(baselines, this.#settings),
      baselines,
      highest: { gateway: { jump: 0, level: mean, cusum: 0 }, client: { jump: 0, level: mean, cusum: 0 } }
    }
  }

  #clientMean(key: string): Mean {
    let mean = this.#clients.get(key)
    if (mean === undefined) {
      mean = { total: 0, count: 0 }
      if (this.#clients.size < this.#settings.clientCap) this.#clients.set(key, mean)
    }
    return mean
  }
}

function limitsFrom({ mean }: Baseline, highest: Record<RuleName, number>): Record<RuleName, number> {
  const limit = (rule: RuleName, normal: number): number =>
    highest[rule] + MARGIN[rule].share * (highest[rule] - normal) + MARGIN[rule].floor
  return { jump: limit('jump', 0), level: limit('level', mean), cusum: limit('cusum', 0) }
}

function add(mean: Mean, total: number, count: number): void {
  mean.total += total
  mean.count += count
}
