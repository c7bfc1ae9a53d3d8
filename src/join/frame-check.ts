// Checks a join against the bytes of the captured frame.

import type { JoinKind, MqttPacket, StreamFrame } from '../types.js'

/** First bytes of a TLS record: type and version (RFC 8446, section 5.1). */
const APPLICATION_DATA = [23, 3, 3]
const ALERT = [21, 3, 3]
const RESERVED_BITS = 0x70

/**
 * Whether the packet's last byte arrived in another frame: one that was never captured, or that arrived before a gap
 * was given up.
 *
 * @param shift packet offset minus frame offset
 */
export function endsInOtherFrame({ chunks }: StreamFrame, { end }: MqttPacket, shift: number): boolean {
  const at = end - shift
  return chunks.some(
    ({ start, length, lost, overdue }) => (lost === true || overdue === true) && at > start && at <= start + length
  )
}

/**
 * Whether the frame has other bytes than expected where the broker reports the start of a packet, or the end of a TLS
 * record or WebSocket frame. The join is exact by construction. This check detects a tuple bound to the wrong
 * connection, or a TLS record that the broker could not count.
 */
export function contradicts(
  join: JoinKind,
  streamFrame: StreamFrame,
  { end, size, header }: MqttPacket,
  shift: number
): boolean {
  if (join === 'exact') return matchesAt(streamFrame, end - size - shift, [header]) === false
  if (join === 'websocket') return isInvalidFrameStart(byteAt(streamFrame, end - shift))
  if (join !== 'tls') return false
  return (
    matchesAt(streamFrame, end - shift, APPLICATION_DATA) === false &&
    matchesAt(streamFrame, end - shift, ALERT) === false
  )
}

/** Whether the byte cannot start a WebSocket frame: reserved bits are set (RFC 6455, section 5.2). */
function isInvalidFrameStart(byte: number | undefined): boolean {
  return byte !== undefined && (byte & RESERVED_BITS) !== 0
}

function byteAt({ chunks }: StreamFrame, offset: number): number | undefined {
  for (const { start, length, bytes } of chunks)
    if (offset >= start && offset < start + length) return bytes?.[offset - start]
  return undefined
}

/** Whether the captured bytes at an offset match; undefined if the frame does not contain the offset. */
function matchesAt({ chunks }: StreamFrame, offset: number, expected: readonly number[]): boolean | undefined {
  for (const { start, length, bytes } of chunks) {
    if (offset < start || offset >= start + length || bytes === null) continue
    return expected.every((byte, i) => (bytes[offset - start + i] ?? byte) === byte)
  }
  return undefined
}
