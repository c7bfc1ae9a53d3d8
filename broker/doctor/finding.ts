// What a check of `artemis doctor` finds.

import type { EffectiveSettings } from '../config/settings.js'

/** `ok`: as it should be. `note`: worth knowing. `problem`: the broker will not do what the settings say. */
export type Level = 'ok' | 'note' | 'problem'

/** One finding, in plain words. */
export interface Finding {
  level: Level
  message: string
  /** What to do about it. */
  remedy?: string
}

/** What the checks look at. */
export interface CheckContext {
  /** undefined where the settings have mistakes. */
  effective: EffectiveSettings | undefined
  /** Epoch milliseconds. */
  now: number
  /** Where the system shows its processes and sockets: `/proc`. */
  proc: string
}

/** Looks at one thing; what it cannot look at it leaves out. */
export type Check = (place: CheckContext) => Promise<Finding[]> | Finding[]

export function ok(message: string): Finding {
  return { level: 'ok', message }
}

export function note(message: string, remedy?: string): Finding {
  return { level: 'note', message, ...(remedy !== undefined && { remedy }) }
}

export function problem(message: string, remedy?: string): Finding {
  return { level: 'problem', message, ...(remedy !== undefined && { remedy }) }
}
