// What a captured frame itself says against a join that the broker's word suggests.

import type { JoinKind, MqttPacket, StreamFrame } from '../types.js'

/** With what a TLS record begins: its type and version (RFC 8446, section 5.1). */
const APPLICATION_DATA = [23, 3, 3]
const ALERT = [21, 3, 3]
const RESERVED_BITS = 0x70

/**
 * Whether another frame than this one brought the packet's last byte: one that was never captured, or one
 * that came before a gap was given up.
 *
 * @param shift by how much the packet's offsets exceed the frame's
 */
export function endsElsewhere({ chunks }: StreamFrame, { end }: MqttPacket, shift: number): boolean {
  const at = end - shift
  return chunks.some(
    ({ start, length, lost, overdue }) => (lost === true || overdue === true) && at > start && at <= start + length
  )
}

/**
 * Whether the frame shows something else where the broker says a packet begins, or a TLS record or WebSocket frame
 * ends. The
 * join is exact by construction; should a tuple ever be bound wrongly, or a record have gone by that the
 * broker could not count, this is what notices.
 */
export function contradicts(
  join: JoinKind,
  streamFrame: StreamFrame,
  { end, size, header }: MqttPacket,
  shift: number
): boolean {
  if (join === 'exact') return shows(streamFrame, end - size - shift, [header]) === false
  if (join === 'websocket') return isNoFrame(byteAt(streamFrame, end - shift))
  if (join !== 'tls') return false
  return shows(streamFrame, end - shift, APPLICATION_DATA) === false && shows(streamFrame, end - shift, ALERT) === false
}

/** Whether a WebSocket frame cannot begin so: with bits set that are kept for extensions (RFC 6455, section 5.2). */
function isNoFrame(byte: number | undefined): boolean {
  return byte !== undefined && (byte & RESERVED_BITS) !== 0
}

function byteAt({ chunks }: StreamFrame, offset: number): number | undefined {
  for (const { start, length, bytes } of chunks)
    if (offset >= start && offset < start + length) return bytes?.[offset - start]
  return undefined
}

/** Whether the bytes at an offset are these, as far as the frame has them; undefined where it has none. */
function shows({ chunks }: StreamFrame, offset: number, expected: readonly number[]): boolean | undefined {
  for (const { start, length, bytes } of chunks) {
    if (offset < start || offset >= start + length || bytes === null) continue
    return expected.every((byte, i) => (bytes[offset - start + i] ?? byte) === byte)
  }
  return undefined
}
