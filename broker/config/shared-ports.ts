// Listeners that cannot both be opened: the second would find its port taken by the first.

import { isIP } from 'node:net'
import type { ConfigIssue } from './config-error.js'
import type { Settings } from './schema.js'

/** An address and those that it stands for. */
const WILDCARDS: Readonly<Partial<Record<string, number>>> = { '0.0.0.0': 4, '::': 6 }

/**
 * One mistake for each listener whose port another one before it has on the same address.
 *
 * @param placeOf where a listener stands, by its key
 */
export function sharedPorts(listeners: Settings['listeners'], placeOf: (key: string) => string): ConfigIssue[] {
  return listeners.flatMap(({ host, port }, index): ConfigIssue[] => {
    const other = listeners.findIndex(before => before.port === port && isShared(before.host, host))
    // Each listener on port 0 gets a free one of its own.
    if (port === 0 || other >= index) return []
    const key = `listeners[${index}]`
    const place = placeOf(`listeners[${other}]`)
    return [
      {
        place: placeOf(key),
        key,
        problem: `port ${port} on ${host} is that of listeners[${other}] (${place}) as well; one of the two should have another port`
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
