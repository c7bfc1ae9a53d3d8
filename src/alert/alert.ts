// Alerts and their states: raised, continuing, cleared.

import type { ResponseName } from '../respond/catalog.js'
import type { RuleName } from './rules.js'

/** State of an alert. */
export type AlertState = 'raised' | 'continuing' | 'cleared'

/** A feature that made a record abnormal. */
export interface Contribution {
  feature: string
  /** Its value in the record. */
  value: string | number | null
  /** How far the score falls if the feature takes its usual value. */
  contribution: number
}

/** The subject of an alert. */
export interface AlertSubject {
  scope: 'gateway' | 'client'
  clientId: string | null
  username: string | null
  address: string | null
  port: number | null
  broker: { address: string; port: number } | null
}

/** An alert. */
export interface Alert {
  /** The same in all messages of one alert. */
  id: number
  state: AlertState
  /** Time of the batch that caused the message: packet time, epoch seconds. */
  time: number
  subject: AlertSubject
  rule: RuleName
  /** Value of the rule, and its limit. */
  value: number
  limit: number
  /** Highest outlier probability in the batch, and the mean. */
  score: number
  average: number
  movingAverage: number
  previousMovingAverage: number
  /** Records of the subject in the batch. */
  records: number
  contributions: Contribution[]
  detector: string
  model: string
  /** The configured response. */
  response: ResponseName
}

/** Timing of an alert's messages. */
export interface AlertLifeSettings {
  /** Seconds between two messages while the alert continues. */
  reminderSeconds: number
  /** Seconds without an exceeded rule until the alert is cleared. */
  clearAfterSeconds: number
}

/** The defaults. */
export const DEFAULT_ALERT_LIFE: AlertLifeSettings = Object.freeze({ reminderSeconds: 10, clearAfterSeconds: 10 })

/** Maximum number of open alerts. An attacker may keep changing its client id. */
const OPEN_CAP = 1_000

interface OpenAlert {
  id: number
  lastMessage: number
  lastExceeded: number
  latest: Alert
}

/** Tracks open alerts and decides which messages are due. */
export class AlertTracker {
  /** Alerts raised so far. */
  raised = 0
  /** Alerts not raised because too many were open. */
  suppressed = 0
  readonly #open = new Map<string, OpenAlert>()
  readonly #settings: AlertLifeSettings

  constructor(settings: AlertLifeSettings = DEFAULT_ALERT_LIFE) {
    this.#settings = settings
  }

  /** Alerts open now. */
  get openCount(): number {
    return this.#open.size
  }

  /** Whether an alert of this subject is open. */
  isOpen(key: string): boolean {
    return this.#open.has(key)
  }

  /**
   * Records that a subject exceeds a rule.
   *
   * @returns the message to send; undefined while the alert is open and its reminder is not due
   */
  exceed(key: string, time: number, describe: () => Omit<Alert, 'id' | 'state'>): Alert | undefined {
    const known = this.#open.get(key)
    if (known === undefined) {
      if (this.#open.size >= OPEN_CAP) {
        this.suppressed++
        return undefined
      }
      const alert: Alert = { id: ++this.raised, state: 'raised', ...describe() }
      this.#open.set(key, { id: alert.id, lastMessage: time, lastExceeded: time, latest: alert })
      return alert
    }
    known.lastExceeded = time
    if (elapsed(known.lastMessage, time) < this.#settings.reminderSeconds) return undefined
    known.lastMessage = time
    known.latest = { id: known.id, state: 'continuing', ...describe() }
    return known.latest
  }

  /** Clears the alerts whose subjects have been quiet for long enough. Returns their last messages. */
  clear(time: number): Alert[] {
    const cleared: Alert[] = []
    for (const [key, { lastExceeded, latest }] of this.#open) {
      if (elapsed(lastExceeded, time) < this.#settings.clearAfterSeconds) continue
      this.#open.delete(key)
      cleared.push({ ...latest, state: 'cleared', time })
    }
    return cleared
  }
}

/** Absolute difference, so that nothing waits for the old time after a clock was set back. */
function elapsed(since: number, time: number): number {
  return Math.abs(time - since)
}
