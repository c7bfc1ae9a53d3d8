// What a response to an alert is.

import type { BanList } from './bans.js'

/** Whom an alert of a client is about, as far as the broker can act on it. */
export interface Offender {
  address: string
  clientId: string | null
  /** The broker's numbers of the connections that carried the abnormal records. */
  connections: readonly number[]
}

/** What a response may do to the broker. */
export interface BrokerControl {
  bans: BanList
  /** Closes a connection at once; its will is not published. Tells whether it was still there. */
  expel(connection: number): boolean
  /** Whether anybody else is connected from the offender's address. */
  hasBystanders(offender: Offender): boolean
}

/** One way to answer an alert. */
export interface Response {
  /** As the config names it. */
  readonly name: string
  /**
   * Acts. Called again while the alert lasts, so it must bear repetition.
   *
   * @returns the connections that were thrown out
   */
  apply(offender: Offender, broker: BrokerControl, settings: ResponseSettings): number
  /** Takes back what still lasts. */
  undo(offender: Offender, broker: BrokerControl): void
}

/** What the config says about responses. */
export interface ResponseSettings {
  banSeconds: number
}
