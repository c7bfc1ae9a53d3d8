// What is known of a connection before its first MQTT packet: where it came in, from whom, and with which certificate.

import type { Settings } from '../config/schema.js'
import type { Endpoint } from '../../src/types.js'

/** Settings of one listener. */
export type ListenerSettings = Settings['listeners'][number]

/** A connection as the listeners hand it on. */
export interface AcceptedConnection {
  /** The settings of the listener that it came through: the very object, so that it can be looked up by it. */
  listener: ListenerSettings
  /** The client: the one that a trusted proxy announced, else whoever connected. */
  client: Endpoint
  /** Common name of the client certificate, where one was required and `identityAsUsername` is set. */
  identity: string | null
  /** To be called when its CONNECT is there: it has met the deadline. */
  settle: () => void
}

const arrivals = new WeakMap<object, AcceptedConnection>()

/** Notes what is known of a stream that is about to be handed to Aedes. */
export function registerAccepted(stream: object, arrival: AcceptedConnection): void {
  arrivals.set(stream, arrival)
}

/** What is known of a client's stream, `client.conn`; undefined where it came through no listener of ours. */
export function acceptedOf(stream: object): AcceptedConnection | undefined {
  return arrivals.get(stream)
}
