// mqtt-malaria at full speed.

import type { Attack } from '../attacker.js'
import { hexDigits, publish } from './malaria-tool.js'

/** Flood at full speed. */
export const malaria: Attack = {
  name: 'malaria',
  summary:
    'mqtt-malaria: 3 to 6 processes, 5,000 messages of hex digits each, QoS 1, a new topic for each, as fast as 200 in flight allow (here at most 600/s each)',
  attackers: [3, 6],
  run: async attacker => {
    await publish(attacker, { rate: Infinity, count: 5_000, payload: hexDigits })
  }
}
