// The detection thread's whole work: tap and ring in, alerts out. It knows no thread, so that it can run in a test.

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
import type { DetectionSettings } from '../settings.js'
import { LiveTap } from '../tap/live.js'
import { InPlaceTraining } from '../training/in-place-training.js'
import type { StreamFrame } from '../types.js'

/** Levels of the log lines that the detection hands to the broker's log. */
export type LogLevel = 'info' | 'warn' | 'error'

/** What the detection tells the broker thread. */
export interface DetectionOutputs {
  onAlert: (alert: Alert) => void
  onOffence: (offender: Offender) => void
  onLog: (level: LogLevel, message: string, details?: object) => void
  /** The model of this file was asked for, and guards. */
  onModel: (path: string) => void
  /** The status says something new that should not wait. */
  onChange: () => void
}

/** Where frames become records. */
interface TrafficJoin {
  readonly counters: Omit<NonNullable<DetectionStatus['join']>, 'held'>
  /** What the context forgot for want of room. */
  readonly contextCounters: Partial<ContextStatus>
  readonly held: number
  frame(frame: StreamFrame): void
  entry?(entry: BrokerEntry): void
  release?(): void
  tapUp?(timings: readonly AlignmentTiming[]): void
  tapDown?(): void
}

/** A tick may end a batch only when the records of its time have surely come through the join. */
const SETTLING_SECONDS = 0.3

/** Tap, join, learning and guarding, put together. */
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
   * @param ring what the broker tells; null where the broker is not ours, and the tap is all there is
   * @param watched how its traffic is decoded then
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
          outputs.onLog('error', `records are not written: ${error.message}`)
        },
        needsContext(columnsOf(settings.detector.features, 'broker')) ? 'full' : 'table1'
      )
    }
  }

  /**
   * Loads the model or begins to learn, and opens the tap.
   *
   * @throws OperatorError where the model or the tap's target is unsound
   */
  async start(): Promise<void> {
    this.#starting = this.#begin()
    await this.#starting
  }

  async #begin(): Promise<void> {
    const { kind, isKindGiven, model: path } = this.#settings.detector
    if (path !== undefined && (await exists(path))) {
      this.#guard(await GuardModel.load(path), isKindGiven === true ? kind : undefined)
    } else {
      if (path !== undefined && !(await canHoldModel(path))) {
        this.#outputs.onLog(
          'warn',
          `the model will be in memory only: the folder of ${path} is missing or may not be written to`
        )
      }
      this.#learn()
    }
    await this.#tap.start()
  }

  /** Guards with another model from now on. Where that is unsound, everything stays as it is and the log says why. */
  async useModel(path: string): Promise<void> {
    try {
      this.#guard(await GuardModel.load(path))
      this.#outputs.onModel(path)
      this.#outputs.onChange()
    } catch (error) {
      const remedy = error instanceof OperatorError ? error.remedy : undefined
      this.#outputs.onLog('error', `the model stays as it is: ${messageOf(error)}`, {
        ...(remedy !== undefined && { remedy })
      })
    }
  }

  /**
   * Learns anew from now on; the present model guards until the new one takes its place.
   * @throws OperatorError where the detector cannot learn in place
   */
  learnAnew(): void {
    this.#training?.stop()
    this.#learn()
    this.#outputs.onChange()
  }

  /** How clients stand, by their keys; null while there is no model. */
  standings(keys: readonly string[]): (ClientScore | null)[] {
    return keys.map(key => this.#pipeline?.scoreOf(key) ?? null)
  }

  /** Reads what the broker told, and lets out what is final. */
  drain(): void {
    if (this.#ring !== null)
      readEntries(this.#ring, entry => {
        this.#join.entry?.(entry)
      })
    this.#join.release?.()
  }

  /** To be called every tenth of a second or so. */
  tick(): void {
    this.drain()
    if (this.#seen === 0) return
    const { time, arrivedAtMs } = this.#latestRecord
    const now = time + (this.#steady.now() - arrivedAtMs) / 1_000 - SETTLING_SECONDS
    this.#training?.tick(now)
    this.#pipeline?.tick(now)
  }

  /** Ends the tap and judges what is left. */
  async stop(): Promise<void> {
    // A tap that is still being opened cannot be closed. Whoever called start hears of its failure.
    await this.#starting?.catch(() => {})
    await this.#tap.stop()
    this.drain()
    this.#join.tapDown?.()
    this.#pipeline?.flush()
    await this.#records?.close()
  }

  /** The status, as it is published. */
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
          wire: model.knowsWire
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

  /** The figures of the moment, as they are published every second. */
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
        `${detector.kind} needs examples of attacks, and cannot learn in place`,
        'Train it with "artemis train --labels" and name the file in detector.model, or take another detector.'
      )
    }
    this.#state = this.#pipeline === undefined ? 'learning' : 'guarding'
    this.#training = new InPlaceTraining(
      { learn, detector, batch, smoothing },
      new Random(detector.seed),
      model => {
        void this.#learnt(model)
      },
      error => {
        this.#fail('the model could not be fitted', error)
      }
    )
    this.#outputs.onLog(
      'info',
      `learning what is normal: at least ${learn.seconds} s and ${learn.minimumRecords} records`
    )
  }

  /** Saves first, so that alerts name the model by the digest of its file. */
  async #learnt(model: GuardModel): Promise<void> {
    const path = this.#settings.detector.model
    let known = model
    if (path !== undefined) {
      try {
        known = await model.save(path)
        this.#outputs.onLog('info', `the model is saved to ${path}`)
      } catch (error) {
        this.#outputs.onLog('error', `the model is in memory only: ${messageOf(error)}`)
      }
    }
    this.#guard(known)
    this.#outputs.onChange()
  }

  #guard(model: GuardModel, asked: string = model.detector): void {
    const { batch, smoothing, response } = this.#settings
    if (model.detector !== asked) {
      this.#outputs.onLog(
        'warn',
        `the model is of ${model.detector} though ${asked} is asked for; move its file away to learn anew`
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
    // Where it was to learn anew, the model before goes on guarding.
    if (this.#pipeline === undefined) this.#state = 'failed'
    this.#training = undefined
    this.#failure = `${what}: ${messageOf(error)}`
    const remedy = error instanceof OperatorError ? error.remedy : undefined
    this.#outputs.onLog('error', this.#failure, { ...(remedy !== undefined && { remedy }) })
    this.#outputs.onChange()
  }
}

/** Whether a model can be saved there: to be found out before the learning, not after it. */
export async function canHoldModel(path: string): Promise<boolean> {
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
