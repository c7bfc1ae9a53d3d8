// What the settings say about who may come in at which listener.

import type { Client } from 'aedes'
import type { Settings } from '../config/schema.js'
import { acceptedOf, type ListenerSettings } from '../listeners/accepted-connection.js'
import type { ListenerAuthSettings } from './credentials.js'
import { isLoopback, type ClientOrigin } from './identity.js'

/** The listeners' keys: the same for the same listener after the settings were read again. */
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

/** What each listener asks for, by its key: its own settings, and where it has none those of `auth`. */
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

/** Finds out how a client came in at one of these listeners. */
export function clientOrigins(listeners: readonly ListenerSettings[]): (client: Client) => ClientOrigin | undefined {
  const keys = keysOf(listeners)
  return ({ conn }) => {
    const arrival = acceptedOf(conn)
    const listener = arrival === undefined ? undefined : keys.get(arrival.listener)
    if (arrival === undefined || listener === undefined) return undefined
    const {
      client: { address },
      identity
    } = arrival
    return {
      listener,
      address,
      certificateName: identity,
      isLocal: isLoopback(address) && !forwardsOthers(arrival.listener)
    }
  }
}

/** Over WebSocket a web page that is open in a browser here would, and behind a proxy whoever it lets through. */
function forwardsOthers({ protocol, proxy }: ListenerSettings): boolean {
  return protocol === 'websockets' || proxy.length > 0
}

function isLocalHost(host: string): boolean {
  return host === 'localhost' || isLoopback(host)
}
