// mqtt-malaria at 40 messages a second.

import type { Attack } from '../attacker.js'
import { hexDigits, publish } from './malaria-tool.js'

/** Flood at a low rate. */
export const malaria40: Attack = {
  name: 'malaria-40',
  summary: 'mqtt-malaria -T 40: 40 messages a second from each of 3 to 5 processes',
  attackers: [3, 5],
  run: async attacker => {
    await publish(attacker, { rate: 40, count: 100_000, payload: hexDigits })
  }
}
