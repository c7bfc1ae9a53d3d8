// What the two threads say to each other beside the ring.

import type { Alert } from '../alert/alert.js'
import type { LogLevel } from './detection.js'
import type { RingMemory } from '../observe/ring.js'
import type { ClientScore } from './pipeline.js'
import type { DetectionStatus } from '../report/status.js'
import type { Offender } from '../respond/response.js'
import type { DetectionSettings } from '../settings.js'

/** With what the detection thread is started. */
export interface DetectionThreadData {
  settings: DetectionSettings
  ring: RingMemory
}

/** What the broker thread asks. `standings`: how these clients stand, by their keys. `learn`: learn anew. */
export type DetectionQuery = { kind: 'standings'; keys: string[] } | { kind: 'learn' }

/** What it is answered; `refused` where the operator has to mend something first. */
export type DetectionReply =
  | { kind: 'standings'; standings: (ClientScore | null)[] }
  | { kind: 'learn' }
  | { kind: 'refused'; message: string; remedy?: string }

/**
 * From the broker thread. `wake`: the ring holds something. `model`: guard with the model of this file.
 * `ask`: answer under this number.
 */
export type ToDetection =
  | { type: 'wake' }
  | { type: 'model'; path: string }
  | { type: 'ask'; number: number; question: DetectionQuery }
  | { type: 'stop' }

/**
 * From the detection thread. `model`: the model of this file was asked for, and guards. `refused`: it
 * cannot start, and starting it again would not help.
 */
export type FromDetection =
  | { type: 'alert'; alert: Alert }
  | { type: 'offence'; offender: Offender }
  | { type: 'log'; level: LogLevel; message: string; details: object }
  | { type: 'model'; path: string }
  | { type: 'answer'; number: number; answer: DetectionReply }
  | { type: 'report'; status: DetectionStatus; scores: object }
  | { type: 'refused'; code: string; message: string; remedy?: string }

/** What of it concerns the broker; the rest is between the thread and whoever runs it. */
export type ForBroker = Exclude<FromDetection, { type: 'model' | 'answer' }>
