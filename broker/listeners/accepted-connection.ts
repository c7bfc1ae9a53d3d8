// Listener, client endpoint and certificate of a connection, known before its first MQTT packet.

import type { Settings } from '../config/schema.js'
import type { Endpoint } from '../../src/types.js'

/** Settings of one listener. */
export type ListenerSettings = Settings['listeners'][number]

/** A connection accepted by a listener. */
export interface AcceptedConnection {
  /** Settings of its listener; the same object, so that it can serve as a map key. */
  listener: ListenerSettings
  /** Client endpoint: the one announced by a trusted proxy, otherwise the peer of the socket. */
  client: Endpoint
  /** Common name of the client certificate, if one is required and `identityAsUsername` is set. */
  identity: string | null
  /** Clears the CONNECT deadline; called when the CONNECT arrives. */
  clearDeadline: () => void
}

const connections = new WeakMap<object, AcceptedConnection>()

/** Registers the connection of a stream, before the stream is passed to Aedes. */
export function registerAccepted(stream: object, connection: AcceptedConnection): void {
  connections.set(stream, connection)
}

/** Returns the connection of a client's stream, `client.conn`; undefined if no listener of the broker accepted it. */
export function acceptedOf(stream: object): AcceptedConnection | undefined {
  return connections.get(stream)
}
