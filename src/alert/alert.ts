// The alert and its life: raised, continuing, cleared.

import type { ResponseName } from '../respond/catalog.js'
import type { RuleName } from './rules.js'

/** Where an alert stands. */
export type AlertState = 'raised' | 'continuing' | 'cleared'

/** A feature that made a record look abnormal. */
export interface Contribution {
  feature: string
  /** As the record has it. */
  value: string | number | null
  /** How far the score falls when the feature takes its usual value. */
  contribution: number
}

/** Who an alert is about. */
export interface AlertSubject {
  scope: 'gateway' | 'client'
  clientId: string | null
  username: string | null
  address: string | null
  port: number | null
  broker: { address: string; port: number } | null
}

/** What happened. */
export interface Alert {
  /** Same for all messages of one alert's life. */
  id: number
  state: AlertState
  /** Epoch seconds of the batch that caused the message: packet time. */
  time: number
  subject: AlertSubject
  rule: RuleName
  /** The rule's figure and its limit. */
  value: number
  limit: number
  /** Highest outlier probability in the batch, and the batch's mean. */
  score: number
  average: number
  movingAverage: number
  previousMovingAverage: number
  /** Records of the subject in the batch. */
  records: number
  contributions: Contribution[]
  detector: string
  model: string
  /** What is done about it. */
  response: ResponseName
}

/** How long an alert lives and how often it speaks. */
export interface AlertLifeSettings {
  /** Between two messages while it continues, seconds. */
  reminderSeconds: number
  /** Without any rule exceeded until it is cleared, seconds. */
  clearAfterSeconds: number
}

/** The defaults. */
export const DEFAULT_ALERT_LIFE: AlertLifeSettings = Object.freeze({ reminderSeconds: 10, clearAfterSeconds: 10 })

/** Alerts open at a time: an attacker may come under ever new names. */
const OPEN_CAP = 1_000

interface OpenAlert {
  id: number
  lastMessage: number
  lastExceeded: number
  latest: Alert
}

/** Keeps the alerts that are open, and says which message is due. */
export class AlertBook {
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
   * A subject exceeds a rule.
   *
   * @returns the message to send; undefined while the alert is open and its reminder not yet due
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

  /** Ends the alerts whose subjects have been quiet for long enough; returns their last messages. */
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

/** Forwards or backwards: after a clock was set back, nothing waits for the old time to come again. */
function elapsed(since: number, time: number): number {
  return Math.abs(time - since)
}
