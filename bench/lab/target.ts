// The lab's broker, the only allowed target.

import { isIPv4 } from 'node:net'

/** Listeners of the lab's broker; a port is null if there is no such listener. */
export interface Target {
  host: string
  port: number
  tlsPort: number | null
  webSocketPort: number | null
}

/** The lab's network: reserved for benchmarks, not routed (RFC 2544, section C.2.2). */
export const LAB_PREFIX = '198.18.'

/**
 * Throws unless the target is in the lab's network or on loopback, so that no bug or argument can attack another
 * broker.
 */
export function assertLabTarget({ host }: Target): void {
  if (isIPv4(host) && (host.startsWith(LAB_PREFIX) || host.startsWith('127.'))) return
  throw new Error(`Refusing to connect to ${host}: the lab only connects to its own broker`)
}
