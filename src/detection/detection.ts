// The work of the detection thread: tap and ring in, alerts out. Independent of threads, so that tests can run it.

import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { dirname } from 'node:path'
import { catalogEntry } from '../../models/index.js'
import { Random } from '../../models/random.js'
import type { Alert } from '../alert/alert.js'
import { columnsOf, needsContext } from '../features/columns.js'
import { joinLimits, tapLimits } from '../caps.js'
import { AwakeClock, STEADY_CLOCK, SystemClock, type Clock } from '../clock.js'
import { OperatorError } from '../errors.js'
import { LiveJoin } from '../join/live.js'
import type { DecodedRecordsOptions } from '../join/decoded-records.js'
import { SEPARATE_CLOCKS, SAME_CLOCK, type AlignmentTiming } from '../join/pause-alignment.js'
import { JoinNotices } from '../join/notices.js'
import { WatchedJoin } from '../join/watched.js'
import type { BrokerEntry } from '../observe/entries.js'
import { readEntries } from '../observe/entry-ring.js'
import type { RingReader } from '../observe/ring.js'
import { Pipeline, type ClientScore } from './pipeline.js'
import { timeOf, type TrafficRecord } from '../record.js'
import { RecordLog } from '../report/record-log.js'
import type { ContextStatus, DetectionState, DetectionStatus } from '../report/status.js'
import type { Offender } from '../respond/response.js'
import { GuardModel } from '../scoring/guard-model.js'
import type { DetectionSettings, LogLevel } from '../settings.js'
import { LiveTap } from '../tap/live.js'
import { InPlaceTraining } from '../training/in-place-training.js'
import type { StreamFrame } from '../types.js'

/** Receives the output of the detection. */
export interface DetectionOutputs {
  onAlert: (alert: Alert) => void
  onOffence: (offender: Offender) => void
  onLog: (level: LogLevel, message: string, details?: object) => void
  /** The requested model was loaded and is in use. */
  onModel: (path: string) => void
  /** The status has an important change. */
  onChange: () => void
}

/** Turns frames into records. */
interface TrafficJoin {
  readonly counters: Omit<NonNullable<DetectionStatus['join']>, 'held'>
  /** Context entries dropped because a table was full. */
  readonly contextCounters: Partial<ContextStatus>
  readonly held: number
  frame(frame: StreamFrame): void
  entry?(entry: BrokerEntry): void
  release?(): void
  tapUp?(timings: readonly AlignmentTiming[]): void
  tapDown?(): void
}

/** A tick may only end a batch when all records of its time have passed the join, seconds. */
const SETTLING_SECONDS = 0.3

/** Combines tap, join, learning and guarding. */
export class Detection {
  #state: DetectionState = 'starting'
  #failure: string | undefined
  readonly #join: TrafficJoin
  readonly #tap: LiveTap
  readonly #records: RecordLog | undefined
  #training: InPlaceTraining | undefined
  #pipeline: Pipeline | undefined
  #model: GuardModel | undefined
  #seen = 0
  #starting: Promise<void> | undefined
  #latestRecord = { time: 0, arrivedAtMs: 0 }
  readonly #settings: DetectionSettings
  readonly #ring: RingReader | null
  readonly #outputs: DetectionOutputs
  readonly #clock: Clock
  readonly #steady: Clock
  readonly #watched: DecodedRecordsOptions

  /**
   * @param ring entries of the broker; null for another broker, with a tap only
   * @param watched decoding options for another broker
   */
  constructor(
    settings: DetectionSettings,
    ring: RingReader | null,
    outputs: DetectionOutputs,
    clock: Clock = new SystemClock(),
    steady: Clock = STEADY_CLOCK,
    watched: DecodedRecordsOptions = {}
  ) {
    this.#settings = settings
    this.#ring = ring
    this.#outputs = outputs
    this.#clock = clock
    this.#steady = steady
    this.#watched = watched
    this.#join = this.#makeJoin()
    this.#tap = new LiveTap({ ...settings.tap, limits: tapLimits(settings.caps) }, settings.ports, {
      onUp: sameClock => {
        this.#join.tapUp?.(sameClock ? SAME_CLOCK : SEPARATE_CLOCKS)
        outputs.onChange()
      },
      onFrame: frame => {
        this.#join.frame(frame)
      },
      onChunk: () => {
        this.drain()
      },
      onDown: () => {
        this.drain()
        this.#join.tapDown?.()
        outputs.onChange()
      },
      onLog: outputs.onLog
    })
    if (settings.records !== undefined) {
      this.#records = new RecordLog(
        settings.records,
        error => {
          outputs.onLog('error', `cannot write records: ${error.message}`)
        },
        needsContext(columnsOf(settings.detector.features, 'broker')) ? 'full' : 'table1'
      )
    }
  }

  /**
   * Loads the model or starts to learn, and opens the tap.
   *
   * @throws OperatorError if the model or the tap target is invalid
   */
  async start(): Promise<void> {
    this.#starting = this.#initialise()
    await this.#starting
  }

  async #initialise(): Promise<void> {
    const { kind, isKindGiven, model: path } = this.#settings.detector
    if (path !== undefined && (await exists(path))) {
      this.#guard(await GuardModel.load(path), isKindGiven ? kind : undefined)
    } else {
      if (path !== undefined && !(await isModelWritable(path))) {
        this.#outputs.onLog(
          'warn',
          `the model will not be saved: the folder of ${path} does not exist or is not writable`
        )
      }
      this.#learn()
    }
    await this.#tap.start()
  }

  /** Switches to another model. If it cannot be loaded, logs the reason and keeps the current model. */
  async useModel(path: string): Promise<void> {
    try {
      this.#guard(await GuardModel.load(path))
      this.#outputs.onModel(path)
      this.#outputs.onChange()
    } catch (error) {
      const remedy = error instanceof OperatorError ? error.remedy : undefined
      this.#outputs.onLog('error', `model unchanged: ${messageOf(error)}`, {
        ...(remedy !== undefined && { remedy })
      })
    }
  }

  /**
   * Starts to learn again. The current model stays in use until the new one is ready.
   *
   * @throws OperatorError if the detector cannot learn in place
   */
  relearn(): void {
    this.#training?.stop()
    this.#learn()
    this.#outputs.onChange()
  }

  /** Returns the scores of clients by key; null without a model. */
  clientScores(keys: readonly string[]): (ClientScore | null)[] {
    return keys.map(key => this.#pipeline?.scoreOf(key) ?? null)
  }

  /** Reads the broker's entries and emits all final records. */
  drain(): void {
    if (this.#ring !== null)
      readEntries(this.#ring, entry => {
        this.#join.entry?.(entry)
      })
    this.#join.release?.()
  }

  /** Must be called about every 100 ms. */
  tick(): void {
    this.drain()
    if (this.#seen === 0) return
    const { time, arrivedAtMs } = this.#latestRecord
    const now = time + (this.#steady.now() - arrivedAtMs) / 1_000 - SETTLING_SECONDS
    this.#training?.tick(now)
    this.#pipeline?.tick(now)
  }

  /** Stops the tap and scores the remaining records. */
  async stop(): Promise<void> {
    // A tap cannot be closed while it is being opened. The caller of `start` handles its error.
    await this.#starting?.catch(() => {})
    await this.#tap.stop()
    this.drain()
    this.#join.tapDown?.()
    this.#pipeline?.flush()
    await this.#records?.close()
  }

  /** Returns the status for publication. */
  status(): DetectionStatus {
    const training = this.#training
    const pipeline = this.#pipeline
    const model = this.#model
    return {
      state: this.#state,
      ...(this.#failure !== undefined && { failure: this.#failure }),
      ...(training !== undefined && {
        learning: {
          phase: training.phase,
          progress: Math.round(training.progress * 1_000) / 1_000,
          records: training.seen,
          minimumRecords: this.#settings.learn.minimumRecords,
          seconds: this.#settings.learn.seconds,
          dropped: training.dropped
        }
      }),
      ...(model !== undefined && {
        model: {
          detector: model.detector,
          digest: model.digest,
          created: model.created,
          rows: model.rows,
          wire: model.hasWireExperts
        }
      }),
      tap: this.#tap.status(),
      join: { ...this.#join.counters, held: this.#join.held },
      context: this.#join.contextCounters,
      records: {
        seen: this.#seen,
        ...pipeline?.counters,
        ...(this.#records !== undefined && { unwritten: this.#records.lost })
      },
      alerts: {
        raised: pipeline?.alerts.raised ?? 0,
        open: pipeline?.alerts.openCount ?? 0,
        suppressed: pipeline?.alerts.suppressed ?? 0,
        clientsForgotten: pipeline?.clientsForgotten ?? 0
      },
      ...(this.#ring !== null && { ring: { dropped: this.#ring.dropped } })
    }
  }

  /** Returns the scores that are published every second. */
  scores(): object {
    return {
      time: Math.round(this.#clock.now()) / 1_000,
      records: this.#seen,
      ...(this.#pipeline !== undefined && {
        movAvg: Math.round(this.#pipeline.movingAverage * 1e4) / 1e4,
        alerts: this.#pipeline.alerts.openCount
      })
    }
  }

  #makeJoin(): TrafficJoin {
    const onRecord = (record: TrafficRecord): void => {
      this.#take(record)
    }
    if (this.#ring === null) return new WatchedJoin(onRecord, this.#watched)
    const notices = new JoinNotices((message, details) => {
      this.#outputs.onLog('warn', message, details)
    }, this.#steady)
    return new LiveJoin(
      {
        onRecord,
        onUnjoined: (reason, connection) => {
          notices.add(reason, connection)
        }
      },
      new AwakeClock(this.#steady),
      joinLimits(this.#settings.caps)
    )
  }

  #take(record: TrafficRecord): void {
    this.#seen++
    this.#latestRecord = { time: timeOf(record), arrivedAtMs: this.#steady.now() }
    this.#records?.write(record)
    this.#pipeline?.push(record)
    this.#training?.push(record)
  }

  #learn(): void {
    const { learn, detector, batch, smoothing } = this.#settings
    if (catalogEntry(detector.kind).supervised) {
      throw new OperatorError(
        'detector-supervised',
        `${detector.kind} needs labelled attacks and cannot learn in place`,
        'Train it with "artemis train --labels" and set detector.model to the file, or use another detector.'
      )
    }
    this.#state = this.#pipeline === undefined ? 'learning' : 'guarding'
    this.#training = new InPlaceTraining(
      { learn, detector, batch, smoothing },
      new Random(detector.seed),
      model => {
        void this.#onTrained(model)
      },
      error => {
        this.#fail('cannot fit a model', error)
      }
    )
    this.#outputs.onLog(
      'info',
      `learning what is normal: at least ${learn.seconds} s and ${learn.minimumRecords} records`
    )
  }

  /** Saves the model first, so that alerts have the digest of its file. */
  async #onTrained(model: GuardModel): Promise<void> {
    const path = this.#settings.detector.model
    let used = model
    if (path !== undefined) {
      try {
        used = await model.save(path)
        this.#outputs.onLog('info', `saved the model to ${path}`)
      } catch (error) {
        this.#outputs.onLog('error', `the model is not saved: ${messageOf(error)}`)
      }
    }
    this.#guard(used)
    this.#outputs.onChange()
  }

  #guard(model: GuardModel, requested: string = model.detector): void {
    const { batch, smoothing, response } = this.#settings
    if (model.detector !== requested) {
      this.#outputs.onLog(
        'warn',
        `the model is for ${model.detector}, but the settings ask for ${requested}. To learn again, move the model file away`
      )
    }
    this.#model = model
    this.#training?.stop()
    this.#training = undefined
    this.#pipeline = new Pipeline(model, { batch, smoothing, response }, this.#outputs)
    this.#state = 'guarding'
    this.#outputs.onLog('info', `guarding with ${model.detector}, model ${model.digest.slice(0, 12)}`, {
      rows: model.rows
    })
  }

  #fail(what: string, error: unknown): void {
    // If a model is in use, it stays in use after a failure to learn again.
    if (this.#pipeline === undefined) this.#state = 'failed'
    this.#training = undefined
    this.#failure = `${what}: ${messageOf(error)}`
    const remedy = error instanceof OperatorError ? error.remedy : undefined
    this.#outputs.onLog('error', this.#failure, { ...(remedy !== undefined && { remedy }) })
    this.#outputs.onChange()
  }
}

/** Whether a model can be saved to a path. Checked before learning starts. */
export async function isModelWritable(path: string): Promise<boolean> {
  return await access(dirname(path), constants.W_OK).then(
    () => true,
    () => false
  )
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false
  )
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
