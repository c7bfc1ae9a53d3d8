// Sends bytes on a new connection and waits for the reaction.

import type { Attacker } from '../attacker.js'
import { connectPacket } from '../packets.js'

/**
 * Sends bytes on a new connection.
 *
 * @param isConnected whether to send a valid CONNECT first
 */
export async function tryPackets(attacker: Attacker, bytes: Buffer, isConnected: boolean): Promise<void> {
  const socket = await attacker.connect()
  if (socket === null) return
  const clientId = attacker.random.text(10)
  attacker.logMessages(clientId, bytes)
  if (isConnected) {
    await attacker.send(socket, connectPacket({ clientId }))
    await attacker.pause(attacker.random.between(5, 40))
  }
  await attacker.send(socket, bytes)
  await Promise.race([
    new Promise(resolve => socket.once('close', resolve)),
    attacker.pause(attacker.random.between(200, 800))
  ])
  socket.destroy()
}
