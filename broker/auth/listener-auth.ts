// Authentication settings and client origins by listener.

import type { Client } from 'aedes-2'
import type { Settings } from '../config/schema.js'
import { acceptedOf, type ListenerSettings } from '../listeners/accepted-connection.js'
import type { ListenerAuthSettings } from './credentials.js'
import { isLoopback, type ClientOrigin } from './identity.js'

/** Returns a key for each listener; a listener keeps its key when the settings are reloaded. */
export function keysOf(listeners: readonly ListenerSettings[]): Map<ListenerSettings, string> {
  const seen = new Map<string, number>()
  return new Map(
    listeners.map(listener => {
      const name = `${listener.host} ${listener.port}`
      const count = (seen.get(name) ?? 0) + 1
      seen.set(name, count)
      return [listener, `${name} ${count}`]
    })
  )
}

/** Returns the authentication settings of each listener by its key: its own, falling back to those of `auth`. */
export function listenerAuthOf({ listeners, auth }: Settings): Map<string, ListenerAuthSettings> {
  return new Map(
    [...keysOf(listeners)].map(([listener, key]) => {
      const passwordFile = listener.passwordFile ?? auth.passwordFile
      return [
        key,
        {
          allowAnonymous:
            listener.allowAnonymous ?? auth.allowAnonymous ?? (isLocalHost(listener.host) && passwordFile === null),
          identityAsUsername: listener.tls?.identityAsUsername ?? false,
          passwordFile,
          aclFile: listener.aclFile ?? auth.aclFile
        }
      ]
    })
  )
}

/** Returns a function that looks up the origin of a client of these listeners. */
export function clientOrigins(listeners: readonly ListenerSettings[]): (client: Client) => ClientOrigin | undefined {
  const keys = keysOf(listeners)
  return ({ conn }) => {
    const accepted = acceptedOf(conn)
    const listener = accepted === undefined ? undefined : keys.get(accepted.listener)
    if (accepted === undefined || listener === undefined) return undefined
    const {
      client: { address },
      identity
    } = accepted
    return {
      listener,
      address,
      certificateName: identity,
      isLocal: isLoopback(address) && !forwardsOthers(accepted.listener)
    }
  }
}

/** Whether local connections may act for others: web pages in a local browser over WebSocket, or clients of a proxy. */
function forwardsOthers({ protocol, proxy }: ListenerSettings): boolean {
  return protocol === 'websockets' || proxy.length > 0
}

function isLocalHost(host: string): boolean {
  return host === 'localhost' || isLoopback(host)
}
