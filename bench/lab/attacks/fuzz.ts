// Packets that chance has damaged.

import type { Attack } from '../attacker.js'
import type { Chance } from '../chance.js'
import { connectPacket, packet, PINGREQ, publishPacket, subscribePacket, unsubscribePacket } from '../packets.js'
import { tryPackets } from './try-packets.js'

/** A conversation as a fuzzer knows it, before it is damaged. */
function conversation(chance: Chance): Buffer {
  const topic = `${chance.text(4)}/${chance.text(6)}`
  return Buffer.concat(
    chance
      .shuffled([
        publishPacket(topic, chance.text(chance.whole(0, 80))),
        publishPacket(topic, chance.bytes(chance.whole(0, 300)), {
          qos: chance.oneOf([0, 1, 2]),
          id: chance.whole(1, 65_535),
          retain: chance.happens(0.2)
        }),
        subscribePacket([topic, '#'], chance.oneOf([0, 1, 2]), chance.whole(1, 65_535)),
        unsubscribePacket([topic], chance.whole(1, 65_535)),
        PINGREQ,
        packet(0x62, Buffer.from([chance.whole(0, 255), chance.whole(0, 255)])),
        packet(0x40, Buffer.from([0, chance.whole(0, 255)]))
      ])
      .slice(0, chance.whole(1, 5))
  )
}

/** Flips, drops, doubles and inserts bytes. */
function damaged(chance: Chance, bytes: Buffer): Buffer {
  let result = Buffer.from(bytes)
  for (let i = chance.whole(1, 6); i > 0 && result.length > 1; i--) {
    const at = chance.whole(0, result.length - 1)
    switch (chance.whole(0, 4)) {
      case 0:
        result[at] ^= 1 << chance.whole(0, 7)
        break
      case 1:
        result[at] = chance.oneOf([0, 0x7f, 0x80, 0xff])
        break
      case 2:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + chance.whole(1, 4))])
        break
      case 3:
        result = Buffer.concat([result.subarray(0, at), chance.bytes(chance.whole(1, 16)), result.subarray(at)])
        break
      default:
        result = Buffer.concat([
          result.subarray(0, at),
          result.subarray(Math.max(0, at - chance.whole(1, 20)), at),
          result.subarray(at)
        ])
    }
  }
  return result
}

/** Conversations damaged by chance. */
export const fuzz: Attack = {
  name: 'fuzz',
  summary:
    'fuzzing: 3 to 5 addresses send conversations with bytes flipped, dropped, doubled and inserted, some 10 connections a second each',
  attackers: [3, 5],
  async run(attacker) {
    const { chance } = attacker
    for (let tries = 0; tries < 700 && !attacker.over; tries++) {
      const isConnected = chance.happens(0.8)
      const bytes = damaged(
        chance,
        isConnected
          ? conversation(chance)
          : connectPacket({
              clientId: chance.text(10),
              username: 'u',
              password: 'p',
              will: { topic: 'w', payload: 'x' }
            })
      )
      await tryPackets(attacker, bytes, isConnected)
      await attacker.pause(chance.between(0, 60))
    }
  }
}
