// Messages between the broker thread and the detection thread, in addition to the ring.

import type { Alert } from '../alert/alert.js'
import type { RingMemory } from '../observe/ring.js'
import type { ClientScore } from './pipeline.js'
import type { DetectionStatus } from '../report/status.js'
import type { Offender } from '../respond/response.js'
import type { DetectionSettings, LogLevel } from '../settings.js'

/** Start data of the detection thread. */
export interface DetectionThreadData {
  settings: DetectionSettings
  ring: RingMemory
}

/** Queries of the broker thread. `client-scores`: the scores of clients by key. `learn`: learn again. */
export type DetectionQuery = { kind: 'client-scores'; keys: string[] } | { kind: 'learn' }

/** Replies to a query. `refused`: the operator must fix something first. */
export type DetectionReply =
  | { kind: 'client-scores'; scores: (ClientScore | null)[] }
  | { kind: 'learn' }
  | { kind: 'refused'; message: string; remedy?: string }

/**
 * Messages from the broker thread. `wake`: the ring has entries. `model`: use the model of this file. `ask`: answer
 * with this number.
 */
export type ToDetection =
  | { type: 'wake' }
  | { type: 'model'; path: string }
  | { type: 'ask'; number: number; question: DetectionQuery }
  | { type: 'stop' }

/**
 * Messages from the detection thread. `model`: the requested model is in use. `refused`: the thread cannot start, and a
 * restart would not help.
 */
export type FromDetection =
  | { type: 'alert'; alert: Alert }
  | { type: 'offence'; offender: Offender }
  | { type: 'log'; level: LogLevel; message: string; details: object }
  | { type: 'model'; path: string }
  | { type: 'answer'; number: number; answer: DetectionReply }
  | { type: 'report'; status: DetectionStatus; scores: object }
  | { type: 'refused'; code: string; message: string; remedy?: string }

/** The messages that the broker handles. `DetectionThread` handles the others itself. */
export type ForBroker = Exclude<FromDetection, { type: 'model' | 'answer' }>
