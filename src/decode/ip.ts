// IPv4 and IPv6 headers: the fields that the features need, and the offset of the next layer.
import type { IpFields } from '../types.js'
import { ipv4Text, ipv6Text } from './addresses.js'
import { uint16, uint32 } from './network-order.js'

export const PROTOCOL_TCP = 6

const IPV4_HEADER_LENGTH = 20
const IPV6_HEADER_LENGTH = 40
const EXTENSION_HOP_BY_HOP = 0
const EXTENSION_ROUTING = 43
const EXTENSION_FRAGMENT = 44
const EXTENSION_AUTHENTICATION = 51
const EXTENSION_DESTINATION = 60
/** Maximum number of IPv6 extension headers; legitimate senders use fewer. */
const MAX_EXTENSIONS = 16

/** Position of a fragment in its datagram. */
export interface FragmentFields {
  /** Identification: distinguishes datagrams of the same addresses and protocol. */
  id: number
  /** Bytes of the datagram's payload before this fragment. */
  offset: number
  /** Whether more fragments follow. */
  more: boolean
}

/** A decoded IP header. */
export interface IpHeader {
  /** 4 or 6. */
  version: number
  /** Offset of the header in the frame. */
  start: number
  /** Protocol number of the payload. */
  protocol: number
  /** Offset of the payload in the frame. */
  payloadOffset: number
  /** Payload length on the wire, bytes: limited to the frame, even if the header declares more. */
  payloadLength: number
  /** Total length, bytes; computed from the frame if the header has 0 (segmentation offload). */
  totalLength: number
  /** null if the datagram is not fragmented. */
  fragment: FragmentFields | null
}

/**
 * Reads the IP header at `start`; null if it is truncated or invalid. `wireLength` is the frame's length, used if the
 * header has no length.
 */
export function decodeIp(bytes: Buffer, start: number, wireLength: number): IpHeader | null {
  if (bytes.length <= start) return null
  return bytes[start] >> 4 === 4 ? decodeIpv4(bytes, start, wireLength) : decodeIpv6(bytes, start, wireLength)
}

function decodeIpv4(bytes: Buffer, start: number, wireLength: number): IpHeader | null {
  if (bytes.length < start + IPV4_HEADER_LENGTH) return null
  const headerLength = (bytes[start] & 0x0f) * 4
  // A length of 0 means segmentation offload: use the frame's length.
  const totalLength = uint16(bytes, start + 2) || wireLength - start
  const present = Math.min(totalLength, wireLength - start)
  if (headerLength < IPV4_HEADER_LENGTH || present < headerLength) return null
  const fragmentWord = uint16(bytes, start + 6)
  const more = (fragmentWord & 0x2000) !== 0
  const offset = (fragmentWord & 0x1fff) * 8
  return {
    version: 4,
    start,
    protocol: bytes[start + 9],
    payloadOffset: start + headerLength,
    payloadLength: present - headerLength,
    totalLength,
    fragment: more || offset > 0 ? { id: uint16(bytes, start + 4), offset, more } : null
  }
}

function decodeIpv6(bytes: Buffer, start: number, wireLength: number): IpHeader | null {
  if (bytes.length < start + IPV6_HEADER_LENGTH) return null
  const declared = uint16(bytes, start + 4)
  const totalLength = declared === 0 ? wireLength - start : declared + IPV6_HEADER_LENGTH
  const end = Math.min(start + totalLength, wireLength)
  let protocol = bytes[start + 6]
  let offset = start + IPV6_HEADER_LENGTH
  let fragment: FragmentFields | null = null
  for (let i = 0; i < MAX_EXTENSIONS && isExtension(protocol); i++) {
    if (bytes.length < offset + 8) return null
    const next = bytes[offset]
    if (protocol === EXTENSION_FRAGMENT) {
      const word = uint16(bytes, offset + 2)
      // A fragment header with offset 0 and no M flag is a whole datagram (RFC 6946).
      if ((word & 0xfff9) !== 0) {
        fragment = { id: uint32(bytes, offset + 4), offset: word & 0xfff8, more: (word & 1) !== 0 }
      }
    }
    offset += extensionLength(protocol, bytes[offset + 1])
    protocol = next
    // Headers after the fragment header are part of the fragmented data.
    if (fragment !== null) break
  }
  if (offset > end) return null
  return { version: 6, start, protocol, payloadOffset: offset, payloadLength: end - offset, totalLength, fragment }
}

function isExtension(protocol: number): boolean {
  return (
    protocol === EXTENSION_HOP_BY_HOP ||
    protocol === EXTENSION_ROUTING ||
    protocol === EXTENSION_FRAGMENT ||
    protocol === EXTENSION_AUTHENTICATION ||
    protocol === EXTENSION_DESTINATION
  )
}

/** Returns the length of an extension header; the unit of its length byte varies (RFC 4302, 2.2; RFC 8200, 4). */
function extensionLength(protocol: number, lengthByte: number): number {
  if (protocol === EXTENSION_FRAGMENT) return 8
  return protocol === EXTENSION_AUTHENTICATION ? (lengthByte + 2) * 4 : (lengthByte + 1) * 8
}

/** Returns the columns that are read from an IP header. */
export function ipFields(bytes: Buffer, header: IpHeader): IpFields {
  const { start, totalLength } = header
  if (header.version === 6) {
    return {
      source: ipv6Text(bytes, start + 8),
      destination: ipv6Text(bytes, start + 24),
      length: totalLength,
      dontFragment: null,
      moreFragments: null,
      reservedBit: null,
      ttl: bytes[start + 7]
    }
  }
  const flags = bytes[start + 6] >> 5
  return {
    source: ipv4Text(bytes, start + 12),
    destination: ipv4Text(bytes, start + 16),
    length: totalLength,
    dontFragment: (flags >> 1) & 1,
    moreFragments: flags & 1,
    reservedBit: flags >> 2,
    ttl: bytes[start + 8]
  }
}
