// The response that disconnects the offender and bans it for a time.

import { disconnect } from './disconnect.js'
import type { Response } from './response.js'

/**
 * Closes the offending connections and bans their address. If other clients are connected from the same address (a
 * router, a container host, loopback), bans only the client id there, so that an attacker cannot get its neighbours
 * disconnected. Never bans a client id at every address: any client may use it.
 */
export const ban: Response = {
  name: 'ban',
  apply(offender, broker, settings) {
    const { address, clientId } = offender
    if (address !== '') {
      if (!broker.hasOtherClients(offender)) broker.bans.add(address, null, settings.banSeconds)
      else if (clientId !== null) broker.bans.add(address, clientId, settings.banSeconds)
    }
    return disconnect.apply(offender, broker, settings)
  },
  undo({ address, clientId }, { bans }) {
    bans.lift(address, null)
    if (clientId !== null) bans.lift(address, clientId)
  }
}
