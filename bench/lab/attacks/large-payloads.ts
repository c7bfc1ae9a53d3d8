// Payloads that are too large.

import type { Attack } from '../attacker.js'
import { connectPacket, publishPacket } from '../packets.js'
import { TOPIC_WORDS } from './words.js'

/** Payloads that are too large. */
export const largePayloads: Attack = {
  name: 'large-payloads',
  summary:
    'large payloads: 3 to 4 addresses publish messages of 256 kB to 2 MB, random bytes or one byte repeated, up to 5 MB each',
  attackers: [3, 4],
  async run(attacker) {
    const { chance } = attacker
    const clientId = chance.text(14)
    let left = 5_000_000
    while (left > 0 && !attacker.over) {
      const socket = await attacker.connect()
      if (socket === null) return
      await attacker.send(socket, connectPacket({ clientId }))
      for (let i = chance.whole(1, 3); i > 0 && left > 0; i--) {
        const bytes = chance.whole(256, 2_000) * 1_000
        const payload = chance.happens(0.5) ? chance.bytes(bytes) : Buffer.alloc(bytes, chance.whole(0, 255))
        const topic = `${chance.oneOf(TOPIC_WORDS)}/${chance.text(6)}`
        attacker.note(clientId, topic, payload)
        left -= bytes
        if (
          !(await attacker.send(
            socket,
            publishPacket(topic, payload, { qos: chance.oneOf([0, 1]), id: chance.whole(1, 65_535) })
          ))
        )
          break
        await attacker.pause(chance.between(500, 2_500))
      }
      socket.end()
      await attacker.pause(chance.between(500, 2_000))
    }
  }
}
