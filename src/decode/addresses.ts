// IP addresses as text, in the one form that every part of the program compares.

/**
 * Texts of addresses seen lately, each at a place that its bytes choose; what falls on the same place takes it over.
 */
const RECENT = 4_096
const recentNumbers = new Uint32Array(RECENT)
const recentTexts = new Array<string>(RECENT).fill('0.0.0.0')

/** The IPv4 address at `offset`, dotted. The caller made sure that 4 bytes are there. */
export function ipv4Text(bytes: Uint8Array, offset: number): string {
  const number =
    ((bytes[offset] << 24) | (bytes[offset + 1] << 16) | (bytes[offset + 2] << 8) | bytes[offset + 3]) >>> 0
  const place = Math.imul(number, 0x9e37_79b1) >>> 20
  if (recentNumbers[place] !== number) {
    recentNumbers[place] = number
    recentTexts[place] = `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`
  }
  return recentTexts[place]
}

/**
 * The IPv6 address at `offset` in the form of RFC 5952; an IPv4-mapped one as plain IPv4.
 * The caller made sure that 16 bytes are there.
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

/** The first of the longest runs of zero groups (RFC 5952, section 4.2.3). */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  for (let i = 0; i < groups.length; i++) {
    if (groups[i] !== 0) start = i + 1
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start }
  }
  return best
}
