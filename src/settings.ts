// Options of the plug-in, with their defaults.

import type { DetectorKind } from '../models/index.js'
import type { BatchLimits } from './alert/batches.js'
import { DEFAULT_SMOOTHING, type SmoothingSettings } from './alert/smoothing.js'
import { DEFAULT_CAPS, type DetectionCaps } from './caps.js'
import type { AuthorizeControl } from './control/authorization.js'
import type { LearnSettings } from './training/training-sample.js'
import type { AllowEntry } from './respond/allow-list.js'
import type { ResponseName } from './respond/catalog.js'
import type { TapSettings } from './tap/catalog.js'

/** Source of captured frames. */
export interface TapOptions extends TapSettings {
  /**
   * `ssh://user@host[:port]/interface`, `local:interface`, `file:PATH`, `none`, or `auto`: `local:any` if tcpdump may
   * capture on this machine, otherwise `none`.
   * @default 'auto'
   */
  target?: string
  /**
   * Bytes captured of each frame; 0 captures whole frames.
   * @default 86, which holds all headers without the payload
   */
  snapLength?: number
}

/** The detector and its model. */
export interface DetectorOptions {
  /** @default 'ocsvm' */
  kind?: DetectorKind
  /**
   * Share of outliers assumed in the training data, in (0, 0.5].
   * @default 0.01
   */
  contamination?: number
  /** @default 1 */
  seed?: number
  /**
   * A preset, or a comma-separated list of columns.
   * @default 'behaviour'
   */
  features?: string
  /**
   * Parameters of the detector by name.
   * @default those of docs/detectors.md
   */
  parameters?: Readonly<Record<string, unknown>>
  /** Model file. Loaded if it exists, otherwise written after training. Without it the model is kept in memory only. */
  model?: string
}

/** Length of in-place training. Training ends when both limits are reached. */
export interface LearnOptions {
  /**
   * Minimum duration in packet time, seconds.
   * @default 600
   */
  seconds?: number
  /** @default 2000 */
  minimumRecords?: number
}

/** Batches and smoothing, equation 1 of the paper. */
export interface AlertOptions {
  /**
   * W0, the weight of the previous moving average, in [0, 1).
   * @default 0.4
   */
  weight?: number
  /** @default 100 */
  batchRecords?: number
  /** @default 200 */
  batchMs?: number
}

/** What to do about a client that raises an alert. */
export interface ResponseOptions {
  /** @default 'observe' */
  action?: ResponseName
  /**
   * Duration of a ban, seconds.
   * @default 600
   */
  banSeconds?: number
  /**
   * Clients that are never disconnected or banned: addresses, networks such as `192.0.2.0/24`, or `client:ID`.
   * @default []
   */
  allow?: readonly AllowEntry[]
  /** File that keeps bans and run-time allow-list entries across restarts. */
  file?: string
}

/** Files to write. */
export interface ReportOptions {
  /** Appends every record to this file, as NDJSON. */
  records?: string
  /** Appends every alert and ban to this file, as EVE JSON lines. */
  eve?: string
}

/** Structured log; a pino logger fits. */
export interface Logger {
  info(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
}

/** Levels of log lines. */
export type LogLevel = keyof Logger

/** Options of {@link artemis}. */
export interface ArtemisOptions {
  tap?: TapOptions
  /**
   * TCP ports of the broker, which the tap captures.
   * @default [1883, 8883]
   */
  ports?: readonly number[]
  /**
   * Bytes of each payload that the detection sees.
   * @default 1024
   */
  payloadCapBytes?: number
  detector?: DetectorOptions
  learn?: LearnOptions
  alert?: AlertOptions
  response?: ResponseOptions
  /** Control over MQTT on `$CONTROL/artemis/v1`; off unless set. */
  control?: {
    /** Whether a client may send control requests. Called after the broker's own `authorizePublish` has passed. */
    authorize: AuthorizeControl
  }
  /**
   * Memory caps.
   * @default those of docs/join.md
   */
  caps?: Partial<DetectionCaps>
  report?: ReportOptions
  /** Without a logger nothing is logged. */
  logger?: Logger
}

/** Settings of the detection thread: the options with defaults applied. Plain data. */
export interface DetectionSettings {
  tap: TapOptions & Required<Pick<TapOptions, 'target' | 'snapLength'>>
  ports: readonly number[]
  detector: DetectorOptions &
    Required<Omit<DetectorOptions, 'parameters' | 'model'>> & {
      /** Whether the options name the kind. */
      isKindGiven: boolean
    }
  learn: LearnSettings
  batch: BatchLimits
  smoothing: SmoothingSettings
  response: ResponseName
  caps: DetectionCaps
  /** File that every record is appended to, as NDJSON. */
  records?: string
}

/** Every option with its default. */
export const DEFAULTS = Object.freeze({
  tap: { target: 'auto', snapLength: 86 },
  ports: [1883, 8883],
  payloadCapBytes: 1_024,
  detector: { kind: 'ocsvm', contamination: 0.01, seed: 1, features: 'behaviour' },
  learn: { seconds: 600, minimumRecords: 2_000 },
  alert: { weight: DEFAULT_SMOOTHING.weight, batchRecords: 100, batchMs: 200 },
  response: { action: 'observe', banSeconds: 600 }
} as const)

/**
 * Parameters for in-place training that differ from PyOD's defaults: a one-class SVM that covers nine in ten benign
 * records instead of half and fits them closely, and enough k-means centres to separate the devices of a home (see
 * docs/detectors.md).
 */
export const SHIPPED_PARAMETERS: Readonly<Partial<Record<DetectorKind, Readonly<Record<string, number>>>>> =
  Object.freeze({
    ocsvm: Object.freeze({ nu: 0.1, gamma: 0.15 }),
    kmeans: Object.freeze({ nClusters: 100, nInit: 1, maxIter: 20 })
  })

/** Applies the defaults. */
export function detectionSettings(options: ArtemisOptions): DetectionSettings {
  const alert = { ...DEFAULTS.alert, ...options.alert }
  const { kind } = { ...DEFAULTS.detector, ...options.detector }
  return {
    tap: { ...DEFAULTS.tap, ...options.tap },
    ports: options.ports ?? DEFAULTS.ports,
    detector: {
      parameters: SHIPPED_PARAMETERS[kind] ?? {},
      isKindGiven: options.detector?.kind !== undefined,
      ...DEFAULTS.detector,
      ...options.detector
    },
    learn: { ...DEFAULTS.learn, ...options.learn },
    batch: { records: alert.batchRecords, milliseconds: alert.batchMs },
    smoothing: { ...DEFAULT_SMOOTHING, weight: alert.weight },
    response: options.response?.action ?? DEFAULTS.response.action,
    caps: { ...DEFAULT_CAPS, ...options.caps },
    ...(options.report?.records !== undefined && { records: options.report.records })
  }
}
