// The status: what `Artemis.status()` returns and the retained status topic holds.

import type { FragmentCounters } from '../decode/fragments.js'
import type { TcpStreamCounters } from '../decode/tcp-streams.js'
import type { DecodedJoinCounters } from '../join/decoded.js'
import type { JoinCounters } from '../join/limits.js'
import type { ResponseName } from '../respond/catalog.js'

/**
 * `starting`: opening model and tap. `learning`: collecting benign traffic. `guarding`: scoring. `failed`: learning
 * failed. `crashed`: the detection thread ended and restarts. `refused`: an operator error prevents the start.
 */
export type DetectionState = 'starting' | 'learning' | 'guarding' | 'failed' | 'crashed' | 'refused'

/** Progress of in-place training; present while learning. */
export interface LearningStatus {
  phase: 'collecting' | 'fitting' | 'calibrating' | 'over'
  /** In [0, 1]. */
  progress: number
  /** Records seen. */
  records: number
  minimumRecords: number
  /** Minimum duration in packet time, seconds. */
  seconds: number
  /** Records discarded because the buffer was full during fitting. */
  dropped: number
}

/** The model in use; present while guarding. */
export interface ModelStatus {
  /** Name of the detector, such as `ocsvm`. */
  detector: string
  /** SHA-256 of the model file, hex. */
  digest: string
  /** ISO 8601. */
  created: string
  /** Rows that each expert was trained on. */
  rows: { wire: number; broker: number }
  /** Whether the model uses wire features. */
  wire: boolean
}

/** The tap. */
export interface TapStatus {
  target: string
  state: 'up' | 'down' | 'none'
  /** Why the tap is down or absent. */
  reason?: string
  /** Captures opened. */
  sessions: number
  /** Frames decoded. */
  frames: number
  /** Frames that the kernel dropped in the last capture. */
  droppedByKernel?: number
  fragments?: FragmentCounters
  streams?: TcpStreamCounters
}

/** Entries evicted from the context because a cap was reached. */
export interface ContextStatus {
  connectionsForgotten: number
  addressesForgotten: number
  clientsForgotten: number
  answersForgotten: number
  originsForgotten: number
}

/** Records. */
export interface RecordsStatus {
  seen: number
  /** Records scored by the model. */
  scored?: number
  /** Records without the columns that the model needs. */
  unscored?: number
  /** Records that carried only Artemis' own messages. */
  own?: number
  /** Records not written to `report.records`. */
  unwritten?: number
}

/** Alerts since the start. */
export interface AlertsStatus {
  raised: number
  open: number
  /** Alerts not raised because too many were open. */
  suppressed: number
  /** Clients evicted from the alert state because a cap was reached. */
  clientsForgotten: number
}

/** Responses since the start. */
export interface ResponseStatus {
  action: ResponseName
  /** Connections closed by a response. */
  expelled: number
  /** Connections and CONNECTs refused because of a ban. */
  refused: number
  /** Clients whose connection the observer did not see: their listener was created before the plug-in. */
  unobserved: number
  /** Bans in force. */
  bans: number
  /** Entries of the allow-list. */
  allowed: number
}

/** Status of the detection thread. */
export interface DetectionStatus {
  state: DetectionState
  /** Why it failed, crashed or was refused. */
  failure?: string
  /** What the operator can do about `failure`. */
  remedy?: string
  learning?: LearningStatus
  model?: ModelStatus
  tap?: TapStatus
  /** Counters of the join, or of the decoder if the tap watches another broker. `held`: frames that wait. */
  join?: Partial<JoinCounters & DecodedJoinCounters> & { held: number }
  context?: Partial<ContextStatus>
  records?: RecordsStatus
  alerts?: AlertsStatus
  /** Ring buffer between the threads; absent without a broker. */
  ring?: { dropped: number }
}

/** Status of a detection that is attached to a broker. */
export interface ArtemisStatus extends DetectionStatus {
  response: ResponseStatus
  /** Control requests; absent if control is off. */
  control?: { requests: number; refused: number }
  thread: { restarts: number }
  /** Lines not written to `report.eve`; absent without that file. */
  eve?: { lost: number }
}
