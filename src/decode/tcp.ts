// Decodes TCP segments on watched ports.
import type { CapturedFrame, TcpFields, TcpFrame } from '../types.js'
import { ipFields } from './ip.js'
import type { IpHeader } from './ip.js'
import { uint16, uint32 } from './network-order.js'

/** Bits of `TcpFields.flags` (RFC 9293, section 3.1). */
export const TCP_FIN = 0x001
export const TCP_SYN = 0x002
export const TCP_RST = 0x004
export const TCP_PSH = 0x008
export const TCP_ACK = 0x010
export const TCP_URG = 0x020
export const TCP_ECE = 0x040
export const TCP_CWR = 0x080
/** Formerly nonce sum (RFC 3540), now accurate ECN. */
export const TCP_NS = 0x100

const TCP_HEADER_LENGTH = 20
const NO_BYTES = new Uint8Array(0)

/**
 * Decodes the TCP segment at `at` in `bytes`, the frame or a reassembled datagram. `length` is the segment's length on
 * the wire. Returns null if no port is watched or the header is invalid.
 */
export function decodeSegment(
  frame: CapturedFrame,
  number: number,
  ip: IpHeader,
  bytes: Buffer,
  at: number,
  length: number,
  ports: ReadonlySet<number>
): TcpFrame | null {
  if (!isWatched(bytes, at, ports)) return null
  const headerLength = segmentHeaderLength(bytes, at, length)
  if (headerLength === 0) return null
  const payloadStart = at + headerLength
  const payloadLength = length - headerLength
  return {
    number,
    seconds: frame.seconds,
    nanoseconds: frame.nanoseconds,
    wireLength: frame.wireLength,
    ip: ipFields(frame.bytes, ip),
    tcp: tcpFields(bytes, at),
    payloadLength,
    // Captured bytes beyond the IP length are padding.
    payload: payloadLength === 0 ? NO_BYTES : bytes.subarray(payloadStart, payloadStart + payloadLength)
  }
}

/** Whether the TCP header at `at` has a watched port. */
function isWatched(bytes: Buffer, at: number, ports: ReadonlySet<number>): boolean {
  return bytes.length >= at + TCP_HEADER_LENGTH && (ports.has(uint16(bytes, at)) || ports.has(uint16(bytes, at + 2)))
}

/** Returns the header length of the segment of `length` bytes at `at`; 0 if its data offset is invalid. */
function segmentHeaderLength(bytes: Buffer, at: number, length: number): number {
  const headerLength = (bytes[at + 12] >> 4) * 4
  return headerLength >= TCP_HEADER_LENGTH && headerLength <= length ? headerLength : 0
}

/** Returns the columns that are read from the TCP header at `at`; at least 20 bytes must be present. */
function tcpFields(bytes: Buffer, at: number): TcpFields {
  return {
    sourcePort: uint16(bytes, at),
    destinationPort: uint16(bytes, at + 2),
    sequence: uint32(bytes, at + 4),
    acknowledgement: uint32(bytes, at + 8),
    flags: uint16(bytes, at + 12) & 0x0fff,
    window: uint16(bytes, at + 14)
  }
}
