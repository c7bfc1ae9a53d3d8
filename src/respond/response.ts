// The interface of responses.

import type { BanList } from './bans.js'

/** The client that an alert is about, as the broker can act on it. */
export interface Offender {
  address: string
  clientId: string | null
  /** The broker's numbers of the connections that carried the abnormal records. */
  connections: readonly number[]
}

/** What a response may do in the broker. */
export interface BrokerControl {
  bans: BanList
  /** Closes a connection at once, without publishing its will. Returns whether it was open. */
  expel(connection: number): boolean
  /** Whether other clients are connected from the offender's address. */
  hasOtherClients(offender: Offender): boolean
}

/** A response to an alert. */
export interface Response {
  /** Name in the configuration. */
  readonly name: string
  /**
   * Applies the response. Called repeatedly while the alert lasts, so it must be idempotent.
   *
   * @returns the number of connections closed
   */
  apply(offender: Offender, broker: BrokerControl, settings: ResponseSettings): number
  /** Reverts lasting effects. */
  undo(offender: Offender, broker: BrokerControl): void
}

/** Settings of the responses. */
export interface ResponseSettings {
  banSeconds: number
}
