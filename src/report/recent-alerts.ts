// Keeps the latest alerts in memory for the control commands.

import type { EveAlert } from './eve.js'

/** Maximum number of alerts. */
const MAX_ALERTS = 100

/** The latest message of each alert, in the order in which the alerts were raised. */
export class RecentAlerts {
  readonly #alerts: { id: number; event: EveAlert }[] = []

  /** Adds a message of an alert. */
  add(id: number, state: string, event: EveAlert): void {
    // Ids restart with each model, so the latest alert with the id is meant.
    const known = state === 'raised' ? undefined : this.#alerts.findLast(alert => alert.id === id)
    if (known !== undefined) {
      known.event = event
      return
    }
    this.#alerts.push({ id, event })
    if (this.#alerts.length > MAX_ALERTS) this.#alerts.shift()
  }

  /** Returns the alerts, the latest last. */
  list(): EveAlert[] {
    return this.#alerts.map(({ event }) => event)
  }
}
