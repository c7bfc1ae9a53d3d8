// The link layer: finds the IP header of a frame.
import { uint16, uint32 } from './network-order.js'

/** Supported LINKTYPE_ numbers (tcpdump.org/linktypes.html). */
const LINK_NULL = 0
const LINK_ETHERNET = 1
const LINK_LOOP = 108
const LINK_RAW = 101
const LINK_LINUX_SLL = 113
const LINK_LINUX_SLL2 = 276
const LINK_IPV4 = 228
const LINK_IPV6 = 229
/** DLT_RAW, which some systems write instead of LINKTYPE_RAW. */
const LINK_RAW_BSD = 12
const LINK_RAW_OPENBSD = 14

const ETHERTYPE_IPV4 = 0x0800
const ETHERTYPE_IPV6 = 0x86dd
/** Tags of 802.1Q, 802.1ad (QinQ) and two earlier vendor tags. */
const VLAN_ETHERTYPES: ReadonlySet<number> = new Set([0x8100, 0x88a8, 0x9100, 0x9200])
const VLAN_TAG_LENGTH = 4
/** A smaller value is a length, and LLC follows (IEEE 802.3, clause 3.2.6). */
const SMALLEST_ETHERTYPE = 0x0600
/** LLC and SNAP headers before an ethertype (RFC 1042). */
const SNAP = Buffer.from([0xaa, 0xaa, 3, 0, 0, 0])

/** AF_INET is 2 everywhere; AF_INET6 differs between Linux, the BSDs and macOS. */
const FAMILY_IPV4 = 2
const FAMILIES_IPV6: ReadonlySet<number> = new Set([10, 24, 28, 30])

/** Result of `findIp` for a frame without IP. */
export const NO_IP = -1

/**
 * Returns the offset of a frame's IP header in `bytes`, or `NO_IP`: another protocol, an unknown link type, or too few
 * captured bytes. The header's version matches the link layer.
 */
export function findIp(linkType: number, bytes: Buffer): number {
  switch (linkType) {
    case LINK_ETHERNET:
      return afterEthertype(bytes, 12)
    case LINK_LINUX_SLL:
      return afterEthertype(bytes, 14)
    case LINK_LINUX_SLL2:
      return bytes.length < 20 ? NO_IP : ofEthertype(bytes, uint16(bytes, 0), 20)
    case LINK_NULL:
    case LINK_LOOP:
      return afterFamily(bytes)
    case LINK_RAW:
    case LINK_RAW_BSD:
    case LINK_RAW_OPENBSD:
      return ofVersion(bytes, 0, 4) === NO_IP ? ofVersion(bytes, 0, 6) : 0
    case LINK_IPV4:
      return ofVersion(bytes, 0, 4)
    case LINK_IPV6:
      return ofVersion(bytes, 0, 6)
    default:
      return NO_IP
  }
}

/** @param at offset of the ethertype; the next layer follows it */
function afterEthertype(bytes: Buffer, at: number): number {
  return bytes.length < at + 2 ? NO_IP : ofEthertype(bytes, uint16(bytes, at), at + 2)
}

function ofEthertype(bytes: Buffer, ethertype: number, next: number): number {
  let type = ethertype
  let offset = next
  while (VLAN_ETHERTYPES.has(type)) {
    if (bytes.length < offset + VLAN_TAG_LENGTH) return NO_IP
    type = uint16(bytes, offset + 2)
    offset += VLAN_TAG_LENGTH
  }
  if (type < SMALLEST_ETHERTYPE && SNAP.equals(bytes.subarray(offset, offset + SNAP.length))) {
    offset += SNAP.length + 2
    if (bytes.length < offset) return NO_IP
    type = uint16(bytes, offset - 2)
  }
  if (type === ETHERTYPE_IPV4) return ofVersion(bytes, offset, 4)
  if (type === ETHERTYPE_IPV6) return ofVersion(bytes, offset, 6)
  return NO_IP
}

/** LINKTYPE_NULL uses the byte order of the capturing machine, LINKTYPE_LOOP network order: tries both. */
function afterFamily(bytes: Buffer): number {
  if (bytes.length < 4) return NO_IP
  const big = uint32(bytes, 0)
  const family = big > 0xffff ? bytes.readUInt32LE(0) : big
  if (family === FAMILY_IPV4) return ofVersion(bytes, 4, 4)
  if (FAMILIES_IPV6.has(family)) return ofVersion(bytes, 4, 6)
  return NO_IP
}

function ofVersion(bytes: Buffer, offset: number, version: number): number {
  return bytes.length > offset && bytes[offset] >> 4 === version ? offset : NO_IP
}
