// Large payloads.

import type { Attack } from '../attacker.js'
import { connectPacket, publishPacket } from '../packets.js'
import { TOPIC_WORDS } from './words.js'

/** Large payloads. */
export const largePayloads: Attack = {
  name: 'large-payloads',
  summary:
    'large payloads: 3 to 4 addresses publish messages of 256 kB to 2 MB, random bytes or one byte repeated, up to 5 MB each',
  attackers: [3, 4],
  async run(attacker) {
    const { random } = attacker
    const clientId = random.text(14)
    let left = 5_000_000
    while (left > 0 && !attacker.over) {
      const socket = await attacker.connect()
      if (socket === null) return
      await attacker.send(socket, connectPacket({ clientId }))
      for (let i = random.integer(1, 3); i > 0 && left > 0; i--) {
        const bytes = random.integer(256, 2_000) * 1_000
        const payload = random.chance(0.5) ? random.bytes(bytes) : Buffer.alloc(bytes, random.integer(0, 255))
        const topic = `${random.oneOf(TOPIC_WORDS)}/${random.text(6)}`
        attacker.logMessage(clientId, topic, payload)
        left -= bytes
        if (
          !(await attacker.send(
            socket,
            publishPacket(topic, payload, { qos: random.oneOf([0, 1]), id: random.integer(1, 65_535) })
          ))
        )
          break
        await attacker.pause(random.between(500, 2_500))
      }
      socket.end()
      await attacker.pause(random.between(500, 2_000))
    }
  }
}
