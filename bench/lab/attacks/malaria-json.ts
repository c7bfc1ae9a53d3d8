// mqtt-malaria at full speed, with JSON.

import type { Attack, Attacker } from '../attacker.js'
import { HEX_DIGITS, publish } from './malaria-tool.js'

/** Returns a JSON object with random names and values, of about the given size. */
function fuzzyJson({ random }: Attacker, bytes: number): string {
  const object: Record<string, unknown> = {}
  for (let size = 2; size < bytes;) {
    const name = random.text(random.integer(3, 10))
    const value = random.oneOf<() => unknown>([
      () => random.integer(-1_000_000, 1_000_000),
      () => random.between(-1, 1) * 10 ** random.integer(0, 9),
      () => random.text(random.integer(4, 40), HEX_DIGITS),
      () => random.chance(0.5),
      () => null,
      () => [random.integer(0, 255), random.integer(0, 255)]
    ])()
    object[name] = value
    size += name.length + 4 + JSON.stringify(value).length
  }
  return JSON.stringify(object)
}

/** Flood with JSON objects. */
export const malariaJson: Attack = {
  name: 'malaria-json',
  summary: 'mqtt-malaria with JSON objects of random names and values as payloads',
  attackers: [3, 6],
  run: async attacker => {
    await publish(attacker, { rate: Infinity, count: 5_000, payload: fuzzyJson })
  }
}
