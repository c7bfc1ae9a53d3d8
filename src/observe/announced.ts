// Clients behind a proxy: the address that a trusted proxy announced for a connection.

import type { Endpoint } from '../types.js'

/** What a proxy said of a connection before the client's own bytes. */
export interface Announcement {
  /** The client as the proxy sees it: whom alerts name and bans meet. */
  client: Endpoint
  /** Length of the proxy's header, bytes: the client's own begin after it. */
  headerBytes: number
}

const announcements = new WeakMap<object, Announcement>()

/**
 * Tells for whom a proxy made a connection. To be called before the connection is handed to
 * `aedes.handle`, with the very stream that is handed over, and for trusted proxies only: whoever is
 * believed can blame anybody.
 */
export function announce(connection: object, announcement: Announcement): void {
  announcements.set(connection, announcement)
}

/** What was told of a connection. */
export function announcementOf(connection: object): Announcement | undefined {
  return announcements.get(connection)
}
