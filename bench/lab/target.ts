// The one thing that the lab talks to, and the refusal to talk to anything else.

import { isIPv4 } from 'node:net'

/** Where the broker of the lab listens; a port is null where it has no such listener. */
export interface Target {
  host: string
  port: number
  tlsPort: number | null
  webSocketPort: number | null
}

/** The lab's network: set aside for measurements, routed nowhere (RFC 2544, section C.2.2). */
export const LAB_PREFIX = '198.18.'

/**
 * Throws unless the target is in the lab's own network or on loopback, so that neither a mistake nor
 * a changed argument lets an attack loose on anybody's broker.
 */
export function assertLabTarget({ host }: Target): void {
  if (isIPv4(host) && (host.startsWith(LAB_PREFIX) || host.startsWith('127.'))) return
  throw new Error(`the lab talks to its own broker only, and ${host} is not it`)
}
