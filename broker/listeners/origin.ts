// Origin check of WebSocket requests: any web page can send one with the rights of its visitor.

import { isIP } from 'node:net'

/**
 * Names that an attacker cannot point at an address: single labels, and names of local networks (RFC 6762, RFC 8375).
 */
const LOCAL_NAME = /^[^.]+$|\.(local|lan|localhost|internal|home\.arpa)$/

/**
 * Whether a WebSocket request is allowed.
 *
 * @param origin the Origin header; undefined if the client is not a browser
 * @param host the Host header
 * @param allowed origins, or `*` for all. Pages of the broker's own host are always allowed if the host is an address
 *   or a local name; other names are open to DNS rebinding
 */
export function isOriginAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[]
): boolean {
  if (origin === undefined) return true
  const wanted = origin.toLowerCase()
  if (allowed.some(pattern => pattern === '*' || pattern.toLowerCase() === wanted)) return true
  const from = hostnameOf(wanted)
  return (
    from !== undefined && from === hostnameOf(`http://${host ?? ''}`) && (isIP(from) !== 0 || LOCAL_NAME.test(from))
  )
}

function hostnameOf(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined
  const { hostname } = new URL(url)
  return hostname === '' ? undefined : hostname.replace(/^\[|\]$/g, '').toLowerCase()
}
