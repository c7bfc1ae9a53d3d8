// The response that throws the offender out and keeps it out for a time.

import { disconnect } from './disconnect.js'
import type { Response } from './response.js'

/**
 * Closes the offending connections and bans their address; where others are connected from the same
 * address (a router, a container host, loopback) only the client id there, lest an attacker gets its
 * neighbours thrown out. A client id alone is never banned: anybody may claim it.
 */
export const ban: Response = {
  name: 'ban',
  apply(offender, broker, settings) {
    const { address, clientId } = offender
    if (address !== '') {
      if (!broker.hasBystanders(offender)) broker.bans.add(address, null, settings.banSeconds)
      else if (clientId !== null) broker.bans.add(address, clientId, settings.banSeconds)
    }
    return disconnect.apply(offender, broker, settings)
  },
  undo({ address, clientId }, { bans }) {
    bans.lift(address, null)
    if (clientId !== null) bans.lift(address, clientId)
  }
}
