// IP addresses as text, in one canonical form, so that they can be compared as strings.

/** Direct-mapped cache of recent address texts: the slot follows from the address, a collision overwrites it. */
const CACHE_SLOTS = 4_096
const cachedNumbers = new Uint32Array(CACHE_SLOTS)
const cachedTexts = new Array<string>(CACHE_SLOTS).fill('0.0.0.0')

/** Returns the IPv4 address at `offset` in dotted form. The caller ensures that 4 bytes are present. */
export function ipv4Text(bytes: Uint8Array, offset: number): string {
  const number =
    ((bytes[offset] << 24) | (bytes[offset + 1] << 16) | (bytes[offset + 2] << 8) | bytes[offset + 3]) >>> 0
  const slot = Math.imul(number, 0x9e37_79b1) >>> 20
  if (cachedNumbers[slot] !== number) {
    cachedNumbers[slot] = number
    cachedTexts[slot] = `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`
  }
  return cachedTexts[slot]
}

/**
 * Returns the IPv6 address at `offset` in the form of RFC 5952, an IPv4-mapped address as plain IPv4.
 * The caller ensures that 16 bytes are present.
 */
export function ipv6Text(bytes: Uint8Array, offset: number): string {
  const groups: number[] = []
  for (let i = 0; i < 16; i += 2) groups.push((bytes[offset + i] << 8) | bytes[offset + i + 1])
  if (isMapped(groups)) return ipv4Text(bytes, offset + 12)
  const { start, length } = longestZeroRun(groups)
  const text = groups.map(group => group.toString(16))
  if (length < 2) return text.join(':')
  return `${text.slice(0, start).join(':')}::${text.slice(start + length).join(':')}`
}

function isMapped(groups: readonly number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every(group => group === 0)
}

/** Finds the first of the longest runs of zero groups (RFC 5952, section 4.2.3). */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  for (let i = 0; i < groups.length; i++) {
    if (groups[i] !== 0) start = i + 1
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start }
  }
  return best
}
