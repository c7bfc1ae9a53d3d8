// The only loop: record -> learn or score -> smooth -> alert. Live, replay and training run it alike.

import { AlertBook, DEFAULT_ALERT_LIFE, type Alert, type AlertLifeSettings } from '../alert/alert.js'
import { Batches, type BatchLimits } from '../alert/batches.js'
import { exceeded, type Baseline, type Figures } from '../alert/rules.js'
import { Smoothing, type SmoothingSettings } from '../alert/smoothing.js'
import { GATEWAY, sharesOf, type Share } from '../alert/subjects.js'
import { originOf, timeOf, type TrafficRecord } from '../record.js'
import type { ResponseName } from '../respond/catalog.js'
import type { Offender } from '../respond/response.js'
import type { GuardModel } from '../scoring/guard-model.js'
import { SurpriseMemory } from '../scoring/surprise-memory.js'

/** How the pipeline behaves. */
export interface PipelineSettings {
  batch: BatchLimits
  smoothing: SmoothingSettings
  life?: AlertLifeSettings
  /** What to do about a client that exceeds a rule. */
  response: ResponseName
}

/** How a client stands. */
export interface ClientScore {
  /** The moving average of its outlier probability; null where it has not sent enough to have one. */
  movAvg: number | null
  /** Whether an alert about it is open. */
  alert: boolean
}

/** What the pipeline tells. */
export interface PipelineOutputs {
  onAlert(alert: Alert): void
  /** A client exceeds a rule: told at every batch in which it does. */
  onOffence?(offender: Offender): void
}

/** Figures of the guarding, since its begin. */
export interface PipelineCounters {
  /** Records scored. */
  scored: number
  /** Records that no model could judge: frames without MQTT where the model knows no wire columns. */
  unscored: number
  /** Records that carried only the detection's own messages. */
  own: number
}

/** Scores records with a model and raises alerts. Uses packet time only. */
export class Pipeline {
  readonly counters: PipelineCounters = { scored: 0, unscored: 0, own: 0 }
  readonly alerts: AlertBook
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
    this.alerts = new AlertBook(settings.life ?? DEFAULT_ALERT_LIFE)
    this.#smoothing = new Smoothing(model.baselines, settings.smoothing)
    this.#batches = new Batches(settings.batch, records => {
      this.#judge(records)
    })
  }

  /** The gateway's moving average of the outlier probability. */
  get movingAverage(): number {
    return this.#smoothing.movingAverage
  }

  /** Clients forgotten by the smoothing for want of room. */
  get clientsForgotten(): number {
    return this.#smoothing.forgotten
  }

  /** How a client stands, by its key. */
  scoreOf(key: string): ClientScore {
    return { movAvg: this.#smoothing.averageOf(key) ?? null, alert: this.alerts.isOpen(key) }
  }

  push(record: TrafficRecord): void {
    if (record.own) this.counters.own++
    else this.#batches.push(record)
  }

  /**
   * Time goes by without traffic: a batch may be over, an alert may be cleared.
   *
   * @param now epoch seconds, by the clock of the records
   */
  tick(now: number): void {
    this.#batches.tick(now)
    this.#clear(now)
  }

  /** Judges what is left. */
  flush(): void {
    this.#batches.flush()
  }

  #judge(records: TrafficRecord[]): void {
    const { probabilities, ownProbabilities } = this.#model.judge(records, this.#memory)
    for (const probability of probabilities) {
      if (Number.isNaN(probability)) this.counters.unscored++
      else this.counters.scored++
    }
    const time = timeOf(records[records.length - 1])
    this.#smoothing.update(sharesOf(records, probabilities, ownProbabilities), (key, share, figures, baseline) => {
      this.#weigh(time, key, share, figures, baseline)
    })
    this.#clear(time)
  }

  #weigh(time: number, key: string, share: Share, figures: Figures, baseline: Baseline): void {
    const trip = exceeded(figures, baseline).at(0)
    if (trip === undefined) return
    const { peer } = share.worst
    const isClient = key !== GATEWAY
    // First what is done about it: the alert is to say whether it had an effect.
    if (isClient)
      this.#outputs.onOffence?.({
        address: originOf(peer).address,
        clientId: peer.clientId,
        connections: [...share.connections]
      })
    const alert = this.alerts.exceed(key, time, () => ({
      time,
      subject: isClient
        ? { scope: 'client', clientId: peer.clientId, username: peer.username, ...originOf(peer), broker: peer.broker }
        : { scope: 'gateway', clientId: null, username: null, address: null, port: null, broker: peer.broker },
      ...trip,
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
