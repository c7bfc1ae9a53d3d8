// Topic enumeration.

import type { Attack } from '../attacker.js'
import { SYS_TOPICS, TOPIC_WORDS } from './words.js'

/** Subscribes to guessed topics. */
export const topicScan: Attack = {
  name: 'topic-scan',
  summary:
    'topic and $SYS enumeration: 3 to 5 addresses subscribe to $SYS topics and guessed topics, 5 to 15 a second, and unsubscribe again',
  attackers: [3, 5],
  async run(attacker) {
    const { random } = attacker
    const client = await attacker.client({
      clientId: random.oneOf([`mqtt-explorer-${random.hex(8)}`, `mqttpwn${random.integer(1, 999)}`, random.text(12)]),
      keepalive: 60
    })
    if (client === null) return
    const perSecond = random.between(5, 15)
    for (const filter of SYS_TOPICS) {
      client.subscribe(filter, () => {})
      await attacker.pause(1_000 / perSecond)
      if (random.chance(0.7)) client.unsubscribe(filter, () => {})
    }
    for (let guesses = 0; guesses < 2_000 && !attacker.over && client.connected; guesses++) {
      const levels = Array.from({ length: random.integer(1, 4) }, () =>
        random.chance(0.15) ? '+' : random.oneOf(TOPIC_WORDS)
      )
      const filter = random.chance(0.25) ? [...levels, '#'].join('/') : levels.join('/')
      client.subscribe(filter, { qos: 0 }, () => {})
      await attacker.pause(1_000 / perSecond)
      client.unsubscribe(filter, () => {})
    }
    client.end(!client.connected)
  }
}
