// Parser of PROXY protocol headers, versions 1 and 2.

import { isIPv4, isIPv6 } from 'node:net'
import { normaliseAddress } from '../../src/observe/address.js'
import type { Endpoint } from '../../src/types.js'

/**
 * The header at the start of a connection. `client` is null for a connection of the proxy itself (a health check) or of
 * an unknown client: the address of the connection is used then.
 */
export type ProxyHeader =
  { state: 'incomplete' } | { state: 'malformed' } | { state: 'complete'; length: number; client: Endpoint | null }

/** Longest accepted header, bytes. Version 2 allows 65,551, but no proxy needs that. */
export const MAX_PROXY_HEADER_BYTES = 4_096

/** Longest version 1 header, bytes, including the line end (PROXY protocol 2.1). */
const MAX_LINE_BYTES = 107
const LINE_START = Buffer.from('PROXY ', 'latin1')
/** Start of a version 2 header (PROXY protocol 2.2). */
const SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])
const FIXED_BYTES = 16
const LOCAL = 0
const PROXY = 1
const TCP_OVER_IPV4 = 0x11
const TCP_OVER_IPV6 = 0x21

const INCOMPLETE: ProxyHeader = { state: 'incomplete' }
const MALFORMED: ProxyHeader = { state: 'malformed' }

/** Parses the header at the start of `bytes`; never incomplete beyond {@link MAX_PROXY_HEADER_BYTES}. Never throws. */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader {
  if (matchesStart(bytes, LINE_START)) return parseLine(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  if (matchesStart(bytes, SIGNATURE)) return parseBinary(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  return MALFORMED
}

/** Whether the bytes start with `start`, or are a prefix of it. */
function matchesStart(bytes: Uint8Array, start: Uint8Array): boolean {
  const length = Math.min(bytes.length, start.length)
  for (let i = 0; i < length; i++) if (bytes[i] !== start[i]) return false
  return true
}

function parseLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_LINE_BYTES).indexOf('\r\n')
  if (end < 0) return bytes.length < MAX_LINE_BYTES ? INCOMPLETE : MALFORMED
  const length = end + 2
  const words = bytes.toString('latin1', LINE_START.length, end).split(' ')
  if (words[0] === 'UNKNOWN') return { state: 'complete', length, client: null }
  const [family, source, destination, sourcePort, destinationPort] = words
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : undefined
  const isValid =
    words.length === 5 &&
    isAddress !== undefined &&
    isAddress(source) &&
    isAddress(destination) &&
    isPort(sourcePort) &&
    isPort(destinationPort)
  if (!isValid) return MALFORMED
  return { state: 'complete', length, client: { address: normaliseAddress(source), port: Number(sourcePort) } }
}

/** Whether a text is a decimal port without leading zeros (PROXY protocol 2.1). */
function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535
}

function parseBinary(bytes: Buffer): ProxyHeader {
  if (bytes.length > SIGNATURE.length && bytes[12] >> 4 !== 2) return MALFORMED
  if (bytes.length < FIXED_BYTES) return INCOMPLETE
  const command = bytes[12] & 0x0f
  const length = FIXED_BYTES + bytes.readUInt16BE(14)
  if (command > PROXY || length > MAX_PROXY_HEADER_BYTES) return MALFORMED
  if (bytes.length < length) return INCOMPLETE
  if (command === LOCAL) return { state: 'complete', length, client: null }
  const addresses = bytes.subarray(FIXED_BYTES, length)
  switch (bytes[13]) {
    case TCP_OVER_IPV4:
      if (addresses.length < 12) return MALFORMED
      return {
        state: 'complete',
        length,
        client: { address: [...addresses.subarray(0, 4)].join('.'), port: addresses.readUInt16BE(8) }
      }
    case TCP_OVER_IPV6:
      if (addresses.length < 36) return MALFORMED
      return {
        state: 'complete',
        length,
        client: { address: ipv6(addresses.subarray(0, 16)), port: addresses.readUInt16BE(32) }
      }
    default:
      // Unspecified or not TCP: accepted without an address.
      return { state: 'complete', length, client: null }
  }
}

/** Formats an address as sockets report it (RFC 5952); IPv4-mapped addresses as IPv4. */
function ipv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16))
  // The URL parser compresses zeros.
  const text = new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text)
  return mapped === null ? text : [...bytes.subarray(12)].join('.')
}
