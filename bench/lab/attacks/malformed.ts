// Packets that break the rules of MQTT, and packets that chance has damaged.

import type { Attack, Attacker } from '../attacker.js'
import type { Chance } from '../chance.js'
import { connectPacket, packet, PINGREQ, publishPacket, subscribePacket, text, unsubscribePacket } from '../packets.js'

/** Packets that a broker must refuse, each for a reason of its own. */
const BROKEN: readonly ((chance: Chance) => Buffer)[] = [
  // A remaining length of five bytes [MQTT-1.5.5-1].
  () => Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01]),
  // Types 0 and 15 under 3.1.1, and packets that only a broker sends.
  () => packet(0x00), () => packet(0xf0), () => packet(0x20, Buffer.from([0, 0])), () => packet(0xd0), () => packet(0x90, Buffer.from([0, 1, 0])),
  // Reserved flags [MQTT-2.1.3-1].
  () => packet(0xc7), () => packet(0x80, subscribePacket(['a']).subarray(2)), () => packet(0x61, Buffer.from([0, 1])),
  // QoS 3 [MQTT-3.3.1-4], and a packet identifier of 0 [MQTT-2.2.1-3].
  chance => packet(0x36, Buffer.concat([text('a/b'), Buffer.from([0, 1]), chance.bytes(20)])), () => publishPacket('a/b', 'x', { qos: 1, id: 0 }),
  // A topic with wildcards, with a null, of no length, longer than its packet, of broken UTF-8.
  () => publishPacket('home/+/state', 'x'), () => publishPacket('home/\0/state', 'x'), () => publishPacket('', 'x'),
  () => packet(0x30, Buffer.from([0xff, 0xff, 0x61])), () => packet(0x30, Buffer.from([0, 4, 0xc3, 0x28, 0xed, 0xa0, 0x78])),
  // Filters: none, malformed, of QoS 3.
  () => packet(0x82, Buffer.from([0, 1])), () => subscribePacket(['a/#/b', 'a+']), () => packet(0x82, Buffer.concat([Buffer.from([0, 2]), text('a'), Buffer.from([3])])), () => unsubscribePacket([]),
  // A second CONNECT [MQTT-3.1.0-2], one of a protocol that is none, with its reserved flag set, cut short.
  () => connectPacket({ clientId: 'again' }), () => packet(0x10, Buffer.concat([text('MQTX'), Buffer.from([4, 2, 0, 60]), text('x')])),
  () => packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, 3, 0, 60]), text('x')])), () => packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([9, 2, 0, 60]), text('x')])), () => packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, 0xce])])),
  // A packet that declares 256 MB and never comes.
  chance => Buffer.concat([Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0, 3]), chance.bytes(40)]),
  // Another protocol altogether.
  () => Buffer.from('GET / HTTP/1.1\r\nHost: broker\r\n\r\n'), () => Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'), chance => chance.bytes(chance.whole(8, 200))
]

async function tryOne (attacker: Attacker, bytes: Buffer, isConnected: boolean): Promise<void> {
  const socket = await attacker.connect()
  if (socket === null) return
  const clientId = attacker.chance.text(10)
  attacker.noteAll(clientId, bytes)
  if (isConnected) {
    await attacker.send(socket, connectPacket({ clientId }))
    await attacker.pause(attacker.chance.between(5, 40))
  }
  await attacker.send(socket, bytes)
  await Promise.race([new Promise(resolve => socket.once('close', resolve)), attacker.pause(attacker.chance.between(200, 800))])
  socket.destroy()
}

/** Rule after rule broken, each on a connection of its own. */
export const malformed: Attack = {
  name: 'malformed',
  summary: 'malformed packets: 3 to 5 addresses break one rule of the specification after the other, some 5 connections a second each',
  attackers: [3, 5],
  async run (attacker) {
    const { chance } = attacker
    for (let tries = 0; tries < 400 && !attacker.over; tries++) {
      await tryOne(attacker, chance.oneOf(BROKEN)(chance), chance.happens(0.75))
      await attacker.pause(chance.between(20, 150))
    }
  }
}

/** A conversation as a fuzzer knows it, before it is damaged. */
function conversation (chance: Chance): Buffer {
  const topic = `${chance.text(4)}/${chance.text(6)}`
  return Buffer.concat(chance.shuffled([
    publishPacket(topic, chance.text(chance.whole(0, 80))), publishPacket(topic, chance.bytes(chance.whole(0, 300)), { qos: chance.oneOf([0, 1, 2]), id: chance.whole(1, 65_535), retain: chance.happens(0.2) }),
    subscribePacket([topic, '#'], chance.oneOf([0, 1, 2]), chance.whole(1, 65_535)), unsubscribePacket([topic], chance.whole(1, 65_535)), PINGREQ, packet(0x62, Buffer.from([chance.whole(0, 255), chance.whole(0, 255)])), packet(0x40, Buffer.from([0, chance.whole(0, 255)]))
  ]).slice(0, chance.whole(1, 5)))
}

/** Flips, drops, doubles and inserts bytes. */
function damaged (chance: Chance, bytes: Buffer): Buffer {
  let result = Buffer.from(bytes)
  for (let i = chance.whole(1, 6); i > 0 && result.length > 1; i--) {
    const at = chance.whole(0, result.length - 1)
    switch (chance.whole(0, 4)) {
      case 0: result[at] ^= 1 << chance.whole(0, 7); break
      case 1: result[at] = chance.oneOf([0, 0x7f, 0x80, 0xff]); break
      case 2: result = Buffer.concat([result.subarray(0, at), result.subarray(at + chance.whole(1, 4))]); break
      case 3: result = Buffer.concat([result.subarray(0, at), chance.bytes(chance.whole(1, 16)), result.subarray(at)]); break
      default: result = Buffer.concat([result.subarray(0, at), result.subarray(Math.max(0, at - chance.whole(1, 20)), at), result.subarray(at)])
    }
  }
  return result
}

/** Conversations damaged by chance. */
export const fuzz: Attack = {
  name: 'fuzz',
  summary: 'fuzzing: 3 to 5 addresses send conversations with bytes flipped, dropped, doubled and inserted, some 10 connections a second each',
  attackers: [3, 5],
  async run (attacker) {
    const { chance } = attacker
    for (let tries = 0; tries < 700 && !attacker.over; tries++) {
      const isConnected = chance.happens(0.8)
      const bytes = damaged(chance, isConnected ? conversation(chance) : connectPacket({ clientId: chance.text(10), username: 'u', password: 'p', will: { topic: 'w', payload: 'x' } }))
      await tryOne(attacker, bytes, isConnected)
      await attacker.pause(chance.between(0, 60))
    }
  }
}
