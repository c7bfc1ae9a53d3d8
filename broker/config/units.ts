// Parses durations and sizes with units: 200ms, 10m, 64KiB.

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const SIZE_UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }

/** Parses a duration such as `200ms`, `1.5h` or `7d` to milliseconds; NaN if invalid. */
export function parseDuration(text: string): number {
  return parse(text, DURATION_UNITS)
}

/** Parses a size such as `86B` or `16MiB` to bytes; NaN if invalid. */
export function parseSize(text: string): number {
  return parse(text, SIZE_UNITS)
}

function parse(text: string, units: Readonly<Record<string, number>>): number {
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]+)$/.exec(text)
  if (match === null || !Object.hasOwn(units, match[2])) return NaN
  return Math.round(Number(match[1]) * units[match[2]])
}
