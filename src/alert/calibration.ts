// Learns the limits of the rules from benign traffic.

import type { TrafficRecord } from '../record.js'
import type { Baselines } from './baselines.js'
import { Batches, type BatchLimits } from './batches.js'
import { applicableRules, type Baseline, type RuleName } from './rules.js'
import { DEFAULT_SMOOTHING, Smoothing, type SmoothingSettings } from './smoothing.js'
import { GATEWAY, sharesOf, type Share } from './subjects.js'

/** Clients with fewer packets are ignored: their mean is not representative. */
const MINIMUM_PACKETS = 20
/** Margin of a limit above the highest benign value: a share of its distance from normal, plus a constant. */
const MARGIN = {
  jump: { share: 0.25, floor: 0.02 },
  level: { share: 0.25, floor: 0.02 },
  cusum: { share: 1, floor: 3 }
}
/** How far a packet may exceed the mean of the most abnormal benign client before the CUSUM grows. */
const REFERENCE_SLACK = 0.02

/** Probabilities of records, as {@link sharesOf} takes them. */
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

/** State of the second pass, with the highest values so far. */
interface DryRun {
  smoothing: Smoothing
  baselines: Baselines
  highest: Record<'gateway' | 'client', Record<RuleName, number>>
}

/**
 * Two passes over the same kind of traffic. {@link observe} measures the means, which give the CUSUM its reference.
 * {@link dryRun} runs the rules without limits and keeps their highest values. Call `rehearse` alone for further
 * benign traffic.
 */
export class Calibration {
  readonly #records: Mean = { total: 0, count: 0 }
  readonly #packets: Mean = { total: 0, count: 0 }
  readonly #clients = new Map<string, Mean>()
  #dryRun: DryRun | undefined
  readonly #settings: SmoothingSettings

  constructor(settings: SmoothingSettings = DEFAULT_SMOOTHING) {
    this.#settings = settings
  }

  /** First pass: measures the means. */
  observe(shares: ReadonlyMap<string, Share>): void {
    for (const [key, { total, count, packetTotal, packets }] of shares) {
      if (key === GATEWAY) add(this.#records, total, count)
      add(key === GATEWAY ? this.#packets : this.#clientMean(key), packetTotal, packets)
    }
  }

  /** Second pass: measures the highest values of the rules. */
  dryRun(shares: ReadonlyMap<string, Share>): void {
    this.#dryRun ??= this.#startDryRun()
    const { smoothing, highest } = this.#dryRun
    smoothing.update(shares, (key, _share, figures) => {
      const scope = highest[key === GATEWAY ? 'gateway' : 'client']
      for (const rule of applicableRules(figures)) scope[rule] = Math.max(scope[rule], figures.values[rule])
    })
  }

  /**
   * Runs both passes over the same records, split into batches. Takes the probabilities of `sharesOf`, one per record.
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
    for (const share of shares) this.dryRun(share)
  }

  /** Returns the limits: the highest values seen plus a margin. */
  baselines(): Baselines {
    const { baselines, highest } = this.#dryRun ?? this.#startDryRun()
    return {
      gateway: { ...baselines.gateway, limits: limitsFrom(baselines.gateway, highest.gateway) },
      client: { ...baselines.client, limits: limitsFrom(baselines.client, highest.client) }
    }
  }

  #startDryRun(): DryRun {
    const mean = meanOf(this.#records)
    const packetMean = meanOf(this.#packets)
    const means = [...this.#clients.values()].filter(({ count }) => count >= MINIMUM_PACKETS).map(meanOf)
    const unlimited = { jump: Infinity, level: Infinity, cusum: Infinity }
    const baselines = {
      gateway: { mean, reference: packetMean + REFERENCE_SLACK, limits: unlimited },
      client: { mean, reference: Math.max(packetMean, ...means) + REFERENCE_SLACK, limits: unlimited }
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
