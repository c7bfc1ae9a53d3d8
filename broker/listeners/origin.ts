// Which web pages may open a WebSocket here: any page can try, with the rights of whoever looks at it.

import { isIP } from 'node:net'

/**
 * Names that no stranger can point at an address of his choice: of one word, or of a local network (RFC 6762, RFC
 * 8375).
 */
const LOCAL_NAME = /^[^.]+$|\.(local|lan|localhost|internal|home\.arpa)$/

/**
 * Whether a WebSocket may be opened.
 *
 * @param origin the header Origin; undefined where it is no browser that asks
 * @param host the header Host
 * @param allowed origins, or `*` for all; pages of the broker's own host need none, so long as the host is an
 *   address or a local name: others could be pointed here for the sake of it (DNS rebinding)
 */
export function isOriginAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[]
): boolean {
  if (origin === undefined) return true
  const given = origin.toLowerCase()
  if (allowed.some(one => one === '*' || one.toLowerCase() === given)) return true
  const from = hostnameOf(given)
  return (
    from !== undefined && from === hostnameOf(`http://${host ?? ''}`) && (isIP(from) !== 0 || LOCAL_NAME.test(from))
  )
}

function hostnameOf(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined
  const { hostname } = new URL(url)
  return hostname === '' ? undefined : hostname.replace(/^\[|\]$/g, '').toLowerCase()
}
