// IPv4 and IPv6 headers: the fields the features need, and where the next layer begins.
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
/** More extension headers than any honest sender chains; a longer chain is not followed. */
const MAX_EXTENSIONS = 16

/** Where a fragment stands in its datagram. */
export interface FragmentFields {
  /** Tells datagrams of the same addresses and protocol apart. */
  id: number
  /** Bytes of the datagram's payload before this fragment. */
  offset: number
  /** Whether more fragments follow. */
  more: boolean
}

/** An IP header, read as far as it can be understood. */
export interface IpHeader {
  /** 4 or 6. */
  version: number
  /** Where the header itself begins in the frame's bytes. */
  start: number
  /** Protocol number of what follows the last header. */
  protocol: number
  /** Where that begins in the frame's bytes. */
  payloadOffset: number
  /** How long it is on the wire, bytes: never beyond the frame's end, whatever the header says. */
  payloadLength: number
  /** Total length, bytes: effective, also where the header says 0 because the network card cuts the segment later. */
  totalLength: number
  /** null: a whole datagram. */
  fragment: FragmentFields | null
}

/**
 * Reads the IP header at `start`; null where it is cut off or contradicts itself. `wireLength` is
 * that of the frame and serves where the header gives no length.
 */
export function decodeIp(bytes: Buffer, start: number, wireLength: number): IpHeader | null {
  if (bytes.length <= start) return null
  return bytes[start] >> 4 === 4 ? decodeIpv4(bytes, start, wireLength) : decodeIpv6(bytes, start, wireLength)
}

function decodeIpv4(bytes: Buffer, start: number, wireLength: number): IpHeader | null {
  if (bytes.length < start + IPV4_HEADER_LENGTH) return null
  const headerLength = (bytes[start] & 0x0f) * 4
  // 0 in the length field: segmentation is left to the network card, the frame's own length counts.
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
      // A fragment header with neither offset nor successors is a whole datagram (RFC 6946).
      if ((word & 0xfff9) !== 0) {
        fragment = { id: uint32(bytes, offset + 4), offset: word & 0xfff8, more: (word & 1) !== 0 }
      }
    }
    offset += extensionLength(protocol, bytes[offset + 1])
    protocol = next
    // What follows the fragment header belongs to the datagram, and only its first piece could be read.
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

/**
 * The length of an extension header from its length byte, whose unit differs (RFC 4302, section 2.2; RFC 8200, section
 * 4).
 */
function extensionLength(protocol: number, lengthByte: number): number {
  if (protocol === EXTENSION_FRAGMENT) return 8
  return protocol === EXTENSION_AUTHENTICATION ? (lengthByte + 2) * 4 : (lengthByte + 1) * 8
}

/** The columns that come from an IP header. */
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
