// Fuzzing: randomly damaged packets.

import type { Attack } from '../attacker.js'
import type { RandomSource } from '../random-source.js'
import { connectPacket, packet, PINGREQ, publishPacket, subscribePacket, unsubscribePacket } from '../packets.js'
import { tryPackets } from './try-packets.js'

/** Generates a packet sequence to damage. */
function conversation(random: RandomSource): Buffer {
  const topic = `${random.text(4)}/${random.text(6)}`
  return Buffer.concat(
    random
      .shuffled([
        publishPacket(topic, random.text(random.integer(0, 80))),
        publishPacket(topic, random.bytes(random.integer(0, 300)), {
          qos: random.oneOf([0, 1, 2]),
          id: random.integer(1, 65_535),
          retain: random.chance(0.2)
        }),
        subscribePacket([topic, '#'], random.oneOf([0, 1, 2]), random.integer(1, 65_535)),
        unsubscribePacket([topic], random.integer(1, 65_535)),
        PINGREQ,
        packet(0x62, Buffer.from([random.integer(0, 255), random.integer(0, 255)])),
        packet(0x40, Buffer.from([0, random.integer(0, 255)]))
      ])
      .slice(0, random.integer(1, 5))
  )
}

/** Flips, drops, duplicates and inserts bytes. */
function damaged(random: RandomSource, bytes: Buffer): Buffer {
  let result = Buffer.from(bytes)
  for (let i = random.integer(1, 6); i > 0 && result.length > 1; i--) {
    const at = random.integer(0, result.length - 1)
    switch (random.integer(0, 4)) {
      case 0:
        result[at] ^= 1 << random.integer(0, 7)
        break
      case 1:
        result[at] = random.oneOf([0, 0x7f, 0x80, 0xff])
        break
      case 2:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + random.integer(1, 4))])
        break
      case 3:
        result = Buffer.concat([result.subarray(0, at), random.bytes(random.integer(1, 16)), result.subarray(at)])
        break
      default:
        result = Buffer.concat([
          result.subarray(0, at),
          result.subarray(Math.max(0, at - random.integer(1, 20)), at),
          result.subarray(at)
        ])
    }
  }
  return result
}

/** Sends randomly damaged packet sequences. */
export const fuzz: Attack = {
  name: 'fuzz',
  summary:
    'fuzzing: 3 to 5 addresses send packet sequences with bytes flipped, dropped, duplicated and inserted, about 10 connections a second each',
  attackers: [3, 5],
  async run(attacker) {
    const { random } = attacker
    for (let tries = 0; tries < 700 && !attacker.over; tries++) {
      const isConnected = random.chance(0.8)
      const bytes = damaged(
        random,
        isConnected
          ? conversation(random)
          : connectPacket({
              clientId: random.text(10),
              username: 'u',
              password: 'p',
              will: { topic: 'w', payload: 'x' }
            })
      )
      await tryPackets(attacker, bytes, isConnected)
      await attacker.pause(random.between(0, 60))
    }
  }
}
