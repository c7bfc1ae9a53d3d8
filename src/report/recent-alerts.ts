// The latest alerts, kept in memory for whoever asks.

import type { EveAlert } from './eve.js'

/** Alerts that are kept. */
const KEPT = 100

/** Each alert with its latest message, in the order in which they were raised. */
export class RecentAlerts {
  readonly #alerts: { id: number; event: EveAlert }[] = []

  /** Takes a message of an alert's life. */
  take(id: number, state: string, event: EveAlert): void {
    // The numbers begin anew with each model: the latest one of a number is meant.
    const known = state === 'raised' ? undefined : this.#alerts.findLast(alert => alert.id === id)
    if (known !== undefined) {
      known.event = event
      return
    }
    this.#alerts.push({ id, event })
    if (this.#alerts.length > KEPT) this.#alerts.shift()
  }

  /** The latest last. */
  list(): EveAlert[] {
    return this.#alerts.map(({ event }) => event)
  }
}
