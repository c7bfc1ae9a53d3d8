// Packets that violate the MQTT specification.

import type { Attack } from '../attacker.js'
import type { RandomSource } from '../random-source.js'
import { connectPacket, packet, publishPacket, subscribePacket, text, unsubscribePacket } from '../packets.js'
import { tryPackets } from './try-packets.js'

/** Packets that a broker must reject, each for a different reason. */
const BROKEN: readonly ((random: RandomSource) => Buffer)[] = [
  // A remaining length of five bytes [MQTT-1.5.5-1].
  () => Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01]),
  // Types 0 and 15 in 3.1.1, and packets that only a broker sends.
  () => packet(0x00),
  () => packet(0xf0),
  () => packet(0x20, Buffer.from([0, 0])),
  () => packet(0xd0),
  () => packet(0x90, Buffer.from([0, 1, 0])),
  // Reserved flags [MQTT-2.1.3-1].
  () => packet(0xc7),
  () => packet(0x80, subscribePacket(['a']).subarray(2)),
  () => packet(0x61, Buffer.from([0, 1])),
  // QoS 3 [MQTT-3.3.1-4], and a packet identifier of 0 [MQTT-2.2.1-3].
  random => packet(0x36, Buffer.concat([text('a/b'), Buffer.from([0, 1]), random.bytes(20)])),
  () => publishPacket('a/b', 'x', { qos: 1, id: 0 }),
  // Topics: with wildcards, with a null, empty, longer than the packet, invalid UTF-8.
  () => publishPacket('home/+/state', 'x'),
  () => publishPacket('home/\0/state', 'x'),
  () => publishPacket('', 'x'),
  () => packet(0x30, Buffer.from([0xff, 0xff, 0x61])),
  () => packet(0x30, Buffer.from([0, 4, 0xc3, 0x28, 0xed, 0xa0, 0x78])),
  // Filters: none, invalid, QoS 3.
  () => packet(0x82, Buffer.from([0, 1])),
  () => subscribePacket(['a/#/b', 'a+']),
  () => packet(0x82, Buffer.concat([Buffer.from([0, 2]), text('a'), Buffer.from([3])])),
  () => unsubscribePacket([]),
  // A second CONNECT [MQTT-3.1.0-2], an unknown protocol, the reserved flag set, an unknown level, a truncated one.
  () => connectPacket({ clientId: 'again' }),
  () => packet(0x10, Buffer.concat([text('MQTX'), Buffer.from([4, 2, 0, 60]), text('x')])),
  () => packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, 3, 0, 60]), text('x')])),
  () => packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([9, 2, 0, 60]), text('x')])),
  () => packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, 0xce])])),
  // A packet that declares 256 MB and is never completed.
  random => Buffer.concat([Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0, 3]), random.bytes(40)]),
  // Different protocols.
  () => Buffer.from('GET / HTTP/1.1\r\nHost: broker\r\n\r\n'),
  () => Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'),
  random => random.bytes(random.integer(8, 200))
]

/** Violates one rule per connection. */
export const malformed: Attack = {
  name: 'malformed',
  summary:
    'malformed packets: 3 to 5 addresses violate one rule of the specification after the other, about 5 connections a second each',
  attackers: [3, 5],
  async run(attacker) {
    const { random } = attacker
    for (let tries = 0; tries < 400 && !attacker.over; tries++) {
      await tryPackets(attacker, random.oneOf(BROKEN)(random), random.chance(0.75))
      await attacker.pause(random.between(20, 150))
    }
  }
}
