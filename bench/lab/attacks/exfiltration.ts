// Taking what belongs to others: their data.

import type { Attack } from '../attacker.js'

const HOST_NAMES = ['web01', 'db-prod', 'nas', 'laptop-hr', 'dc01']

/** Data carried out in small pieces. */
export const exfiltration: Attack = {
  name: 'exfiltration',
  summary:
    'low-and-slow exfiltration: 3 to 5 addresses, some of which listen to everything, carry data out as base64 or hex pieces of 28 to 160 characters in topics that look like telemetry, one every 1 to 4 s',
  attackers: [3, 5],
  async run(attacker) {
    const {
      chance,
      scene: { home },
      party
    } = attacker
    const clientId = `${chance.oneOf(['sensor', 'node', 'esp32', 'ESP'])}-${chance.hex(6)}`
    const client = await attacker.client({ clientId, keepalive: 30 })
    if (client === null) return
    // The first one collects what the others send, as their master would.
    const topic = `${home.base}/${home.room(party.index)}/${chance.oneOf(['diag', 'stats', 'raw', 'calibration'])}`
    if (party.index === 0)
      client.subscribe(
        [`${home.base}/+/diag`, `${home.base}/+/stats`, `${home.base}/+/raw`, `${home.base}/+/calibration`],
        { qos: 1 },
        () => {}
      )
    else if (chance.happens(0.5)) client.subscribe('#', () => {})
    const encoding = chance.oneOf(['base64', 'hex'] as const)
    const host = chance.oneOf(HOST_NAMES)
    for (let piece = 0; !attacker.over && client.connected; piece++) {
      // What is stolen is compressed and encrypted, so it looks like chance.
      const data = chance.bytes(chance.whole(20, 80)).toString(encoding)
      const payload = chance.happens(0.5) ? data : JSON.stringify({ d: data, s: piece, h: host })
      attacker.note(clientId, topic, payload)
      client.publish(topic, payload, { qos: 1 }, () => {})
      await attacker.pause(chance.between(1_000, 4_000))
    }
    client.end(!client.connected)
  }
}
