// mqtt-malaria as fast as it can, with JSON.

import type { Attack, Attacker } from '../attacker.js'
import { HEX_DIGITS, publish } from './malaria-tool.js'

/** A JSON object of random names and values, of about so many bytes. */
function fuzzyJson({ chance }: Attacker, bytes: number): string {
  const object: Record<string, unknown> = {}
  for (let size = 2; size < bytes;) {
    const name = chance.text(chance.whole(3, 10))
    const value = chance.oneOf<() => unknown>([
      () => chance.whole(-1_000_000, 1_000_000),
      () => chance.between(-1, 1) * 10 ** chance.whole(0, 9),
      () => chance.text(chance.whole(4, 40), HEX_DIGITS),
      () => chance.happens(0.5),
      () => null,
      () => [chance.whole(0, 255), chance.whole(0, 255)]
    ])()
    object[name] = value
    size += name.length + 4 + JSON.stringify(value).length
  }
  return JSON.stringify(object)
}

/** The flood with objects. */
export const malariaJson: Attack = {
  name: 'malaria-json',
  summary: 'the same with JSON objects of random names and values as payloads',
  attackers: [3, 6],
  run: async attacker => {
    await publish(attacker, { rate: Infinity, count: 5_000, payload: fuzzyJson })
  }
}
