// Finds listeners that conflict because they use the same port.

import { isIP } from 'node:net'
import type { ConfigIssue } from './config-error.js'
import type { Settings } from './schema.js'

/** Wildcard addresses and the IP version that each covers. */
const WILDCARDS: Readonly<Partial<Record<string, number>>> = { '0.0.0.0': 4, '::': 6 }

/**
 * Returns an issue for each listener with the address and port of an earlier one.
 *
 * @param placeOf returns the location of a listener by its key
 */
export function sharedPorts(listeners: Settings['listeners'], placeOf: (key: string) => string): ConfigIssue[] {
  return listeners.flatMap(({ host, port }, index): ConfigIssue[] => {
    const other = listeners.findIndex(before => before.port === port && isShared(before.host, host))
    // Each listener on port 0 gets its own free port.
    if (port === 0 || other >= index) return []
    const key = `listeners[${index}]`
    const place = placeOf(`listeners[${other}]`)
    return [
      {
        place: placeOf(key),
        key,
        problem: `port ${port} on ${host} is already used by listeners[${other}] (${place}); change one of the two`
      }
    ]
  })
}

function isShared(one: string, other: string): boolean {
  return (
    one.toLowerCase() === other.toLowerCase() ||
    WILDCARDS[one] === (isIP(other) || NaN) ||
    WILDCARDS[other] === (isIP(one) || NaN)
  )
}
