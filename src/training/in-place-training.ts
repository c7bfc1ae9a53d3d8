// From the broker's own first traffic to a model that guards it.

import type { Random } from '../../models/random.js'
import { Batches, type BatchLimits } from '../alert/batches.js'
import { Calibration } from '../alert/calibration.js'
import type { SmoothingSettings } from '../alert/smoothing.js'
import { sharesOf } from '../alert/subjects.js'
import { TrainingSample, type LearnSettings } from './training-sample.js'
import type { TrafficRecord } from '../record.js'
import { GuardModel, type DetectorSettings } from '../scoring/guard-model.js'
import { SurpriseMemory } from '../scoring/surprise-memory.js'

/** Records that may wait while the model is being fitted. */
const WAITING_CAP = 50_000

/** Everything the training needs to know. */
export interface TrainingSettings {
  learn: LearnSettings
  detector: DetectorSettings
  batch: BatchLimits
  smoothing: SmoothingSettings
}

/** `collecting` until enough is known to fit, `fitting`, then `calibrating` on traffic that the model has not seen. */
export type TrainingPhase = 'collecting' | 'fitting' | 'calibrating' | 'over'

/** Learns in place: collects, fits, calibrates. Uses packet time only. */
export class InPlaceTraining {
  /** Records that came while fitting and found no room. */
  dropped = 0
  phase: TrainingPhase = 'collecting'
  readonly #learning: TrainingSample
  readonly #calibration: Calibration
  readonly #batches: Batches
  readonly #waiting: TrafficRecord[] = []
  readonly #memory = new SurpriseMemory()
  #model: GuardModel | undefined
  readonly #settings: TrainingSettings
  readonly #onLearnt: (model: GuardModel) => void
  readonly #onFailed: (error: Error) => void

  /**
   * @param onLearnt called once, with a model that knows its limits
   * @param onFailed called instead where no model can be fitted
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
    this.#learning = new TrainingSample(settings.learn, random)
    this.#calibration = new Calibration(settings.smoothing)
    this.#batches = new Batches(settings.batch, records => {
      this.#calibrate(records)
    })
  }

  /** From 0 to 1. */
  get progress(): number {
    return this.#learning.progress
  }

  /** Records learnt from so far. */
  get seen(): number {
    return this.#learning.seen
  }

  push(record: TrafficRecord): void {
    if (record.own || this.phase === 'over') return
    this.#learning.push(record)
    if (this.phase === 'calibrating') this.#batches.push(record)
    else if (this.phase === 'fitting') this.#wait(record)
    this.#advance()
  }

  /**
   * @param now epoch seconds, by the clock of the records
   */
  tick(now: number): void {
    if (this.phase === 'over') return
    this.#learning.tick(now)
    if (this.phase === 'calibrating') this.#batches.tick(now)
    this.#advance()
  }

  /** Another model guards: what is being learnt is no longer wanted. */
  stop(): void {
    this.phase = 'over'
  }

  #advance(): void {
    if (this.phase === 'collecting' && this.#learning.isFitDue) {
      this.phase = 'fitting'
      this.#fit().catch((error: unknown) => {
        if (this.phase === 'over') return
        this.phase = 'over'
        this.#onFailed(error instanceof Error ? error : new Error(String(error)))
      })
    } else if (this.phase === 'calibrating' && this.#learning.isOver && this.#model !== undefined) {
      this.#batches.flush()
      this.phase = 'over'
      this.#onLearnt(this.#model.withBaselines(this.#calibration.baselines()))
    }
  }

  async #fit(): Promise<void> {
    const records = this.#learning.take()
    const model = await GuardModel.fit(records, this.#settings.detector)
    if (this.phase === 'over') return
    // What the model was fitted on tells what is usual, and contains the connects that later traffic may lack;
    // judged as if it had not been learnt from, or the limits would be lower than new traffic deserves.
    this.#calibration.learn(records, model.judgeTraining(records), this.#settings.batch)
    this.#model = model
    this.phase = 'calibrating'
    for (const record of this.#waiting.splice(0)) this.#batches.push(record)
    this.#advance()
  }

  #calibrate(records: TrafficRecord[]): void {
    if (this.#model === undefined) return
    const { probabilities, ownProbabilities } = this.#model.judge(records, this.#memory)
    this.#calibration.rehearse(sharesOf(records, probabilities, ownProbabilities))
  }

  #wait(record: TrafficRecord): void {
    if (this.#waiting.length < WAITING_CAP) this.#waiting.push(record)
    else this.dropped++
  }
}
