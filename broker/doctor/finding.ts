// Findings of `artemis doctor`.

import type { EffectiveSettings } from '../config/settings.js'

/** `ok`: no problem. `note`: for information. `problem`: the broker will not work as configured. */
export type Level = 'ok' | 'note' | 'problem'

/** One finding. */
export interface Finding {
  level: Level
  message: string
  /** How to fix it. */
  remedy?: string
}

/** The input of the checks. */
export interface CheckContext {
  /** undefined if the settings are invalid. */
  effective: EffectiveSettings | undefined
  /** Epoch milliseconds. */
  now: number
  /** The proc file system: `/proc`. */
  proc: string
}

/** Checks one thing. Skips what it cannot check. */
export type Check = (context: CheckContext) => Promise<Finding[]> | Finding[]

export function ok(message: string): Finding {
  return { level: 'ok', message }
}

export function note(message: string, remedy?: string): Finding {
  return { level: 'note', message, ...(remedy !== undefined && { remedy }) }
}

export function problem(message: string, remedy?: string): Finding {
  return { level: 'problem', message, ...(remedy !== undefined && { remedy }) }
}
