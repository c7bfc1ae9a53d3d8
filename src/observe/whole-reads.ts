// Makes `read()` of a connection return all buffered bytes, as it does before Node 26.

import type { Duplex } from 'node:stream'

/**
 * Overrides `read` of this instance. Since Node 26, `read()` returns only the first of several buffered chunks. Aedes
 * 1.2.0 and 2.0.0-beta.1 then read the next chunk while they parse the first, and the connection stalls: a busy client
 * receives no PINGRESP, and MQTT.js cannot connect over WebSocket. See docs/upstream.md.
 */
export function readWhole(connection: Duplex): void {
  const read = connection.read.bind(connection) as (size?: number | null) => unknown
  connection.read = (size?: number | null): unknown => {
    let left = connection.readableLength
    const first = read(size)
    // Parts, strings and `data` events are not affected.
    if ((size ?? null) !== null || connection.readableFlowing === true || !(first instanceof Uint8Array)) return first
    left -= first.length
    const chunks = [first]
    // Not more than was buffered: a stream may have new bytes at each read.
    while (left > 0) {
      const next = read()
      if (!(next instanceof Uint8Array)) break
      left -= next.length
      chunks.push(next)
    }
    return chunks.length === 1 ? first : Buffer.concat(chunks)
  }
}
