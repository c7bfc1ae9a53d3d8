// Data exfiltration.

import type { Attack } from '../attacker.js'

const HOST_NAMES = ['web01', 'db-prod', 'nas', 'laptop-hr', 'dc01']

/** Exfiltrates data in small pieces. */
export const exfiltration: Attack = {
  name: 'exfiltration',
  summary:
    'low-and-slow exfiltration: 3 to 5 addresses, some of which subscribe to #, send data as base64 or hex pieces of 28 to 160 characters on topics that look like telemetry, one every 1 to 4 s',
  attackers: [3, 5],
  async run(attacker) {
    const {
      random,
      scene: { home },
      party
    } = attacker
    const clientId = `${random.oneOf(['sensor', 'node', 'esp32', 'ESP'])}-${random.hex(6)}`
    const client = await attacker.client({ clientId, keepalive: 30 })
    if (client === null) return
    // The first attacker collects what the others send.
    const topic = `${home.base}/${home.room(party.index)}/${random.oneOf(['diag', 'stats', 'raw', 'calibration'])}`
    if (party.index === 0)
      client.subscribe(
        [`${home.base}/+/diag`, `${home.base}/+/stats`, `${home.base}/+/raw`, `${home.base}/+/calibration`],
        { qos: 1 },
        () => {}
      )
    else if (random.chance(0.5)) client.subscribe('#', () => {})
    const encoding = random.oneOf(['base64', 'hex'] as const)
    const host = random.oneOf(HOST_NAMES)
    for (let piece = 0; !attacker.over && client.connected; piece++) {
      // Stolen data is compressed and encrypted, so it looks random.
      const data = random.bytes(random.integer(20, 80)).toString(encoding)
      const payload = random.chance(0.5) ? data : JSON.stringify({ d: data, s: piece, h: host })
      attacker.logMessage(clientId, topic, payload)
      client.publish(topic, payload, { qos: 1 }, () => {})
      await attacker.pause(random.between(1_000, 4_000))
    }
    client.end(!client.connected)
  }
}
