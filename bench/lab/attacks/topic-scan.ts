// Finding out what there is.

import type { Attack } from '../attacker.js'
import { SYS_TOPICS, TOPIC_WORDS } from './words.js'

/** Subscribing to guesses. */
export const topicScan: Attack = {
  name: 'topic-scan',
  summary:
    'topic and $SYS enumeration: 3 to 5 addresses subscribe to what brokers tell of themselves and to guessed topics, 5 to 15 a second, and unsubscribe where nothing comes',
  attackers: [3, 5],
  async run(attacker) {
    const { chance } = attacker
    const client = await attacker.client({
      clientId: chance.oneOf([`mqtt-explorer-${chance.hex(8)}`, `mqttpwn${chance.whole(1, 999)}`, chance.text(12)]),
      keepalive: 60
    })
    if (client === null) return
    const perSecond = chance.between(5, 15)
    for (const filter of SYS_TOPICS) {
      client.subscribe(filter, () => {})
      await attacker.pause(1_000 / perSecond)
      if (chance.happens(0.7)) client.unsubscribe(filter, () => {})
    }
    for (let guesses = 0; guesses < 2_000 && !attacker.over && client.connected; guesses++) {
      const levels = Array.from({ length: chance.whole(1, 4) }, () =>
        chance.happens(0.15) ? '+' : chance.oneOf(TOPIC_WORDS)
      )
      const filter = chance.happens(0.25) ? [...levels, '#'].join('/') : levels.join('/')
      client.subscribe(filter, { qos: 0 }, () => {})
      await attacker.pause(1_000 / perSecond)
      client.unsubscribe(filter, () => {})
    }
    client.end(!client.connected)
  }
}
