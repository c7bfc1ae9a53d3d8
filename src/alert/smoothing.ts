// Keeps the moving averages of the gateway and of every client.

import type { Baselines } from './baselines.js'
import { SubjectState, type Baseline, type Figures } from './rules.js'
import { GATEWAY, mergeShares, type Share } from './subjects.js'

/** How the smoothing behaves. */
export interface SmoothingSettings {
  /** W0 of equation 1. */
  weight: number
  /** A client's records are gathered until they carry so many packets: a mean over one or two says nothing. */
  minimumClientPackets: number
  /** Clients kept; the one heard of longest ago goes first. */
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
  waiting: Share | null
}

/** One {@link SubjectState} for each subject, with a cap on how many an attacker can make us keep. */
export class Smoothing {
  /** Clients forgotten for want of room. */
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

  /** The moving average of a client by its key; undefined where it has not sent enough to have one. */
  averageOf(key: string): number | undefined {
    const entry = this.#clients.get(key)
    return entry?.state.hasFigures === true ? entry.state.movingAverage : undefined
  }

  /**
   * Takes a batch.
   *
   * @param onFigures called for each subject whose figures moved, with the share that moved them
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
      const gathered = entry.waiting === null ? share : mergeShares(entry.waiting, share)
      if (gathered.packets < this.#settings.minimumClientPackets) {
        entry.waiting = gathered
        continue
      }
      entry.waiting = null
      onFigures(key, gathered, entry.state.update(gathered), this.#baselines.client)
    }
  }

  #entryOf(key: string): Entry {
    const known = this.#clients.get(key)
    if (known !== undefined) {
      this.#clients.delete(key)
      this.#clients.set(key, known)
      return known
    }
    if (this.#clients.size >= this.#settings.clientCap) {
      const [oldest] = this.#clients.keys()
      this.#clients.delete(oldest)
      this.forgotten++
    }
    const entry = { state: new SubjectState(this.#baselines.client, this.#settings.weight), waiting: null }
    this.#clients.set(key, entry)
    return entry
  }
}
