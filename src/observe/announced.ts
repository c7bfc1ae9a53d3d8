// Clients behind a proxy: the client address that a trusted proxy announced for a connection.

import type { Endpoint } from '../types.js'

/** A proxy's announcement of a connection's client (PROXY protocol). */
export interface Announcement {
  /** Client address as seen by the proxy; used in alerts and bans. */
  client: Endpoint
  /** Length of the proxy's header, bytes; the client's bytes follow. */
  headerBytes: number
}

const announcements = new WeakMap<object, Announcement>()

/**
 * Sets the client address of a connection from a proxy. Call it before `aedes.handle`, with the same stream, and only
 * for trusted proxies: a proxy can claim any client address.
 */
export function announce(connection: object, announcement: Announcement): void {
  announcements.set(connection, announcement)
}

/** Returns the announcement of a connection, if any. */
export function announcementOf(connection: object): Announcement | undefined {
  return announcements.get(connection)
}
