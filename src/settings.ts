// What the detection can be told, with the defaults.

import type { DetectorKind } from '../models/index.js'
import type { BatchLimits } from './alert/batches.js'
import { DEFAULT_SMOOTHING, type SmoothingSettings } from './alert/smoothing.js'
import { DEFAULT_CAPS, type DetectionCaps } from './caps.js'
import type { AuthorizeControl } from './control/control.js'
import type { LearnSettings } from './training/training-sample.js'
import type { AllowEntry } from './respond/allow-list.js'
import type { ResponseName } from './respond/catalog.js'
import type { TapSettings } from './tap/catalog.js'

/** Where captured bytes come from, and how to get there. */
export interface TapChoice extends TapSettings {
  /** `ssh://user@host[:port]/interface`, `local:interface`, `file:PATH`, `none` or `auto`. */
  target: string
  /** Bytes captured of each frame; 0 is all. */
  snapLength: number
}

/** The detector, and where its model lies. */
export interface DetectorChoice {
  kind: DetectorKind
  /** Whether somebody asked for this kind; completed, where it is left out. */
  isKindGiven?: boolean
  /** Share of outliers assumed in what is learnt from, in (0, 0.5]. */
  contamination: number
  seed: number
  /** A preset or a list of features parted by commas. */
  features: string
  /** Further parameters of the detector, by name; those that are shipped unless given. */
  parameters?: Readonly<Record<string, unknown>>
  /** Model file: loaded where it exists, else written after the learning. Without one the model lives in memory. */
  model?: string
}

/** Everything the detection thread needs to know; plain data. */
export interface DetectionSettings {
  tap: TapChoice
  /** TCP ports of the broker. */
  ports: readonly number[]
  detector: DetectorChoice
  learn: LearnSettings
  batch: BatchLimits
  smoothing: SmoothingSettings
  response: ResponseName
  caps: DetectionCaps
  /** File that every record is appended to, as NDJSON. */
  records?: string
}

/** Structured log, of which pino's is one. */
export interface Logger {
  info(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
}

/** What {@link artemis} can be told. */
export interface ArtemisOptions {
  tap?: Partial<TapChoice>
  /** TCP ports of the broker: those that the tap watches. */
  ports?: readonly number[]
  /** Bytes of a payload that the detection gets to see. */
  payloadCapBytes?: number
  detector?: Partial<DetectorChoice>
  learn?: Partial<LearnSettings>
  /** Batches and smoothing of equation 1. */
  alert?: {
    /** W0: how much the past counts, in [0, 1). */
    weight?: number
    batchRecords?: number
    batchMs?: number
  }
  /** What to do about a client that raises an alert. */
  response?: {
    action?: ResponseName
    banSeconds?: number
    /** Who is never thrown out and never banned: addresses, networks such as `192.0.2.0/24`, `client:ID`. */
    allow?: readonly AllowEntry[]
    /** File that keeps bans, and what is allowed while running, over a restart. */
    file?: string
  }
  /** Control over MQTT; nobody has it without this. */
  control?: {
    /** Whether a client may; asked after the broker's own `authorizePublish` has let its request through. */
    authorize: AuthorizeControl
  }
  /** How much may be kept in memory; a ring's bytes must be a power of two. */
  caps?: Partial<DetectionCaps>
  report?: {
    /** File that every record is appended to, as NDJSON. */
    records?: string
    /** File that every alert is appended to, as EVE JSON lines. */
    eve?: string
  }
  /** Where log lines go; nowhere without one. */
  logger?: Logger
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
 * Parameters that detectors learn in place with, where PyOD's do not serve: a one-class SVM whose region holds nine in
 * ten of the benign records instead of half and fits them closely, and as many centres as tell a home's devices apart
 * (see docs/detectors.md).
 */
export const SHIPPED_PARAMETERS: Readonly<Partial<Record<DetectorKind, Readonly<Record<string, number>>>>> =
  Object.freeze({
    ocsvm: Object.freeze({ nu: 0.1, gamma: 0.15 }),
    kmeans: Object.freeze({ nClusters: 100, nInit: 1, maxIter: 20 })
  })

/** The options completed by the defaults, as the detection thread takes them. */
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
