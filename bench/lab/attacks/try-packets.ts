// Sends bytes on a connection of their own, and sees what becomes of it.

import type { Attacker } from '../attacker.js'
import { connectPacket } from '../packets.js'

/** @param isConnected whether a sound CONNECT goes before them */
export async function tryPackets(attacker: Attacker, bytes: Buffer, isConnected: boolean): Promise<void> {
  const socket = await attacker.connect()
  if (socket === null) return
  const clientId = attacker.chance.text(10)
  attacker.noteAll(clientId, bytes)
  if (isConnected) {
    await attacker.send(socket, connectPacket({ clientId }))
    await attacker.pause(attacker.chance.between(5, 40))
  }
  await attacker.send(socket, bytes)
  await Promise.race([
    new Promise(resolve => socket.once('close', resolve)),
    attacker.pause(attacker.chance.between(200, 800))
  ])
  socket.destroy()
}
