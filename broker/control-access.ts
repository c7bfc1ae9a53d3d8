// Who may control the running broker.

import { BlockList, isIP } from 'node:net'
import type { Asker, AuthorizeControl } from '../src/index.js'
import type { Settings } from './config/schema.js'

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/**
 * Where there are access rules, they have spoken before this is asked. Where there are none: users whose
 * password was checked, and whoever comes from this machine; never an anonymous client from elsewhere.
 */
export function controlAccess ({ listeners, auth }: Settings): AuthorizeControl {
  return asker => {
    // Port 0 is any: what holds for one of them must hold for all.
    const here = listeners.filter(({ port }) => port === asker.broker.port || port === 0)
    const hasRules = here.length > 0 && here.every(({ aclFile }) => (aclFile ?? auth.aclFile) !== null)
    const checksUsers = here.length > 0 && here.every(({ passwordFile, tls }) => (passwordFile ?? auth.passwordFile) !== null || tls?.identityAsUsername === true)
    const isUser = checksUsers && asker.username !== undefined && asker.username !== ''
    return hasRules || isUser || isFromHere(asker)
  }
}

/**
 * Not over WebSocket: there a web page that is open in a browser here, or a proxy that stands before the
 * broker, would speak for others.
 */
function isFromHere ({ client, announced = client, transport }: Asker): boolean {
  return transport !== 'websocket' && isLoopback(client.address) && isLoopback(announced.address)
}

function isLoopback (address: string): boolean {
  const family = isIP(address)
  return family !== 0 && LOOPBACK.check(address, family === 4 ? 'ipv4' : 'ipv6')
}
