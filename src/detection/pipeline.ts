// The processing loop: record, learn or score, smooth, alert. The same for live traffic, replay and training.

import { AlertTracker, DEFAULT_ALERT_LIFE, type Alert, type AlertLifeSettings } from '../alert/alert.js'
import { Batches, type BatchLimits } from '../alert/batches.js'
import { exceededRules, type Baseline, type Figures } from '../alert/rules.js'
import { Smoothing, type SmoothingSettings } from '../alert/smoothing.js'
import { GATEWAY, sharesOf, type Share } from '../alert/subjects.js'
import { clientEndpoint, timeOf, type TrafficRecord } from '../record.js'
import type { ResponseName } from '../respond/catalog.js'
import type { Offender } from '../respond/response.js'
import type { GuardModel } from '../scoring/guard-model.js'
import { SurpriseMemory } from '../scoring/surprise-memory.js'

/** Settings of the pipeline. */
export interface PipelineSettings {
  batch: BatchLimits
  smoothing: SmoothingSettings
  life?: AlertLifeSettings
  /** Response to a client that exceeds a rule. */
  response: ResponseName
}

/** Score of a client. */
export interface ClientScore {
  /** Moving average of its outlier probability; null if it has not sent enough traffic. */
  movAvg: number | null
  /** Whether an alert about the client is open. */
  alert: boolean
}

/** Receives the output of the pipeline. */
export interface PipelineOutputs {
  onAlert(alert: Alert): void
  /** A client exceeds a rule. Called for every batch in which it does. */
  onOffence?(offender: Offender): void
}

/** Counters since the model is in use. */
export interface PipelineCounters {
  /** Records scored. */
  scored: number
  /** Records that cannot be scored: frames without MQTT if the model has no wire columns. */
  unscored: number
  /** Records with only the detection's own messages. */
  own: number
}

/** Scores records with a model and raises alerts. Uses packet time only. */
export class Pipeline {
  readonly counters: PipelineCounters = { scored: 0, unscored: 0, own: 0 }
  readonly alerts: AlertTracker
  readonly #batches: Batches
  readonly #smoothing: Smoothing
  readonly #memory = new SurpriseMemory()
  readonly #model: GuardModel
  readonly #settings: PipelineSettings
  readonly #outputs: PipelineOutputs

  constructor(model: GuardModel, settings: PipelineSettings, outputs: PipelineOutputs) {
    this.#model = model
    this.#settings = settings
    this.#outputs = outputs
    this.alerts = new AlertTracker(settings.life ?? DEFAULT_ALERT_LIFE)
    this.#smoothing = new Smoothing(model.baselines, settings.smoothing)
    this.#batches = new Batches(settings.batch, records => {
      this.#score(records)
    })
  }

  /** The gateway's moving average of the outlier probability. */
  get movingAverage(): number {
    return this.#smoothing.movingAverage
  }

  /** Clients dropped from the smoothing because its table was full. */
  get clientsForgotten(): number {
    return this.#smoothing.forgotten
  }

  /** Returns the score of a client by key. */
  scoreOf(key: string): ClientScore {
    return { movAvg: this.#smoothing.averageOf(key) ?? null, alert: this.alerts.isOpen(key) }
  }

  push(record: TrafficRecord): void {
    if (record.own) this.counters.own++
    else this.#batches.push(record)
  }

  /**
   * Advances the time, so that batches end and alerts clear without traffic.
   *
   * @param now epoch seconds, by the clock of the records
   */
  tick(now: number): void {
    this.#batches.tick(now)
    this.#clear(now)
  }

  /** Scores the remaining records. */
  flush(): void {
    this.#batches.flush()
  }

  #score(records: TrafficRecord[]): void {
    const { probabilities, ownProbabilities } = this.#model.score(records, this.#memory)
    for (const probability of probabilities) {
      if (Number.isNaN(probability)) this.counters.unscored++
      else this.counters.scored++
    }
    const time = timeOf(records[records.length - 1])
    this.#smoothing.update(sharesOf(records, probabilities, ownProbabilities), (key, share, figures, baseline) => {
      this.#checkRules(time, key, share, figures, baseline)
    })
    this.#clear(time)
  }

  #checkRules(time: number, key: string, share: Share, figures: Figures, baseline: Baseline): void {
    const violation = exceededRules(figures, baseline).at(0)
    if (violation === undefined) return
    const { peer } = share.worst
    const isClient = key !== GATEWAY
    // The response comes first, so that the alert shows whether it had an effect.
    if (isClient)
      this.#outputs.onOffence?.({
        address: clientEndpoint(peer).address,
        clientId: peer.clientId,
        connections: [...share.connections]
      })
    const alert = this.alerts.exceed(key, time, () => ({
      time,
      subject: isClient
        ? {
            scope: 'client',
            clientId: peer.clientId,
            username: peer.username,
            ...clientEndpoint(peer),
            broker: peer.broker
          }
        : { scope: 'gateway', clientId: null, username: null, address: null, port: null, broker: peer.broker },
      ...violation,
      score: share.worstProbability,
      average: figures.average,
      movingAverage: figures.current,
      previousMovingAverage: figures.previous,
      records: share.count,
      contributions: this.#model.contributions(share.worst),
      detector: this.#model.detector,
      model: this.#model.digest,
      response: isClient ? this.#settings.response : 'observe'
    }))
    if (alert !== undefined) this.#outputs.onAlert(alert)
  }

  #clear(time: number): void {
    for (const alert of this.alerts.clear(time)) this.#outputs.onAlert(alert)
  }
}
