// Keeps the moving averages of the gateway and of each client.

import { evictOldest } from '../bounded-map.js'
import type { Baselines } from './baselines.js'
import { SubjectState, type Baseline, type Figures } from './rules.js'
import { GATEWAY, mergeShares, type Share } from './subjects.js'

/** Settings of the smoothing. */
export interface SmoothingSettings {
  /** W0 of equation 1. */
  weight: number
  /** Packets that a client's records must carry before they are averaged: a mean of one or two means little. */
  minimumClientPackets: number
  /** Maximum number of clients. The least recently seen is evicted first. */
  clientCap: number
}

/** The defaults; W0 is the paper's. */
export const DEFAULT_SMOOTHING: SmoothingSettings = Object.freeze({
  weight: 0.4,
  minimumClientPackets: 10,
  clientCap: 10_000
})

interface Entry {
  state: SubjectState
  pending: Share | null
}

/** One {@link SubjectState} per subject. Capped, because an attacker may invent clients. */
export class Smoothing {
  /** Clients evicted because the cap was reached. */
  forgotten = 0
  readonly #gateway: SubjectState
  readonly #clients = new Map<string, Entry>()
  readonly #baselines: Baselines
  readonly #settings: SmoothingSettings

  constructor(baselines: Baselines, settings: SmoothingSettings = DEFAULT_SMOOTHING) {
    this.#baselines = baselines
    this.#settings = settings
    this.#gateway = new SubjectState(baselines.gateway, settings.weight)
  }

  /** The gateway's moving average. */
  get movingAverage(): number {
    return this.#gateway.movingAverage
  }

  /** Returns the moving average of a client by its key; undefined until it has sent enough. */
  averageOf(key: string): number | undefined {
    const entry = this.#clients.get(key)
    return entry?.state.hasFigures === true ? entry.state.movingAverage : undefined
  }

  /**
   * Processes a batch.
   *
   * @param onFigures called for each subject whose figures changed, with the share that changed them
   */
  update(
    shares: ReadonlyMap<string, Share>,
    onFigures: (key: string, share: Share, figures: Figures, baseline: Baseline) => void
  ): void {
    for (const [key, share] of shares) {
      if (key === GATEWAY) {
        onFigures(key, share, this.#gateway.update(share), this.#baselines.gateway)
        continue
      }
      const entry = this.#entryOf(key)
      const combined = entry.pending === null ? share : mergeShares(entry.pending, share)
      if (combined.packets < this.#settings.minimumClientPackets) {
        entry.pending = combined
        continue
      }
      entry.pending = null
      onFigures(key, combined, entry.state.update(combined), this.#baselines.client)
    }
  }

  #entryOf(key: string): Entry {
    const known = this.#clients.get(key)
    if (known !== undefined) {
      this.#clients.delete(key)
      this.#clients.set(key, known)
      return known
    }
    if (evictOldest(this.#clients, this.#settings.clientCap)) this.forgotten++
    const entry = { state: new SubjectState(this.#baselines.client, this.#settings.weight), pending: null }
    this.#clients.set(key, entry)
    return entry
  }
}
