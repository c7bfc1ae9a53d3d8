// Learns a model from the broker's own traffic after the start.

import type { Random } from '../../models/random.js'
import { Batches, type BatchLimits } from '../alert/batches.js'
import { Calibration } from '../alert/calibration.js'
import type { SmoothingSettings } from '../alert/smoothing.js'
import { sharesOf } from '../alert/subjects.js'
import { TrainingSample, type LearnSettings } from './training-sample.js'
import type { TrafficRecord } from '../record.js'
import { GuardModel, type DetectorSettings } from '../scoring/guard-model.js'
import { SurpriseMemory } from '../scoring/surprise-memory.js'

/** Maximum records that wait while the model is fitted. */
const WAITING_CAP = 50_000

/** Settings of in-place training. */
export interface TrainingSettings {
  learn: LearnSettings
  detector: DetectorSettings
  batch: BatchLimits
  smoothing: SmoothingSettings
}

/**
 * `collecting` until there are enough records to fit, `fitting`, then `calibrating` on traffic that the model has not
 * seen.
 */
export type TrainingPhase = 'collecting' | 'fitting' | 'calibrating' | 'over'

/** Learns in place: collects, fits, calibrates. Uses packet time only. */
export class InPlaceTraining {
  /** Records dropped during fitting because the queue was full. */
  dropped = 0
  phase: TrainingPhase = 'collecting'
  readonly #sample: TrainingSample
  readonly #calibration: Calibration
  readonly #batches: Batches
  readonly #waiting: TrafficRecord[] = []
  readonly #memory = new SurpriseMemory()
  #model: GuardModel | undefined
  readonly #settings: TrainingSettings
  readonly #onLearnt: (model: GuardModel) => void
  readonly #onFailed: (error: Error) => void

  /**
   * @param onLearnt called once, with a model that includes its alert limits
   * @param onFailed called instead if no model can be fitted
   */
  constructor(
    settings: TrainingSettings,
    random: Random,
    onLearnt: (model: GuardModel) => void,
    onFailed: (error: Error) => void
  ) {
    this.#settings = settings
    this.#onLearnt = onLearnt
    this.#onFailed = onFailed
    this.#sample = new TrainingSample(settings.learn, random)
    this.#calibration = new Calibration(settings.smoothing)
    this.#batches = new Batches(settings.batch, records => {
      this.#calibrate(records)
    })
  }

  /** Progress from 0 to 1. */
  get progress(): number {
    return this.#sample.progress
  }

  /** Number of records learned from. */
  get seen(): number {
    return this.#sample.seen
  }

  push(record: TrafficRecord): void {
    if (record.own || this.phase === 'over') return
    this.#sample.push(record)
    if (this.phase === 'calibrating') this.#batches.push(record)
    else if (this.phase === 'fitting') this.#enqueue(record)
    this.#advance()
  }

  /**
   * Advances the time.
   *
   * @param now epoch seconds, by the clock of the records
   */
  tick(now: number): void {
    if (this.phase === 'over') return
    this.#sample.tick(now)
    if (this.phase === 'calibrating') this.#batches.tick(now)
    this.#advance()
  }

  /** Stops training, because another model is in use. */
  stop(): void {
    this.phase = 'over'
  }

  #advance(): void {
    if (this.phase === 'collecting' && this.#sample.isFitDue) {
      this.phase = 'fitting'
      this.#fit().catch((error: unknown) => {
        if (this.phase === 'over') return
        this.phase = 'over'
        this.#onFailed(error instanceof Error ? error : new Error(String(error)))
      })
    } else if (this.phase === 'calibrating' && this.#sample.isOver && this.#model !== undefined) {
      this.#batches.flush()
      this.phase = 'over'
      this.#onLearnt(this.#model.withBaselines(this.#calibration.baselines()))
    }
  }

  async #fit(): Promise<void> {
    const records = this.#sample.take()
    const model = await GuardModel.fit(records, this.#settings.detector)
    if (this.phase === 'over') return
    // The training records show usual traffic and include CONNECT packets that later traffic may lack. They are scored
    // as held-out records, or the limits would be too low for new traffic.
    this.#calibration.learn(records, model.scoreTraining(records), this.#settings.batch)
    this.#model = model
    this.phase = 'calibrating'
    for (const record of this.#waiting.splice(0)) this.#batches.push(record)
    this.#advance()
  }

  #calibrate(records: TrafficRecord[]): void {
    if (this.#model === undefined) return
    const { probabilities, ownProbabilities } = this.#model.score(records, this.#memory)
    this.#calibration.dryRun(sharesOf(records, probabilities, ownProbabilities))
  }

  #enqueue(record: TrafficRecord): void {
    if (this.#waiting.length < WAITING_CAP) this.#waiting.push(record)
    else this.dropped++
  }
}
