// SYN flood, below MQTT.

import type { Attack } from '../attacker.js'
import { tcpPacket, TCP_FLAGS } from '../raw-tcp.js'

const MAX_SYNS = 1_500

/** Half-open connections. */
export const synFlood: Attack = {
  name: 'syn-flood',
  summary:
    'SYN flood: 4 to 8 forged, unused addresses, bare SYNs as sent by hping3, 20 to 50 a second each, the responses lost',
  attackers: [4, 8],
  isForged: true,
  async run(attacker) {
    const { random, party, target, scene } = attacker
    const perSecond = random.between(20, 50)
    let port = random.integer(1_024, 60_000)
    for (let sent = 0; sent < MAX_SYNS && !attacker.over; sent++) {
      port = port === 65_535 ? 1_024 : port + 1
      scene.inject(
        tcpPacket({
          source: party.address,
          destination: target.host,
          sourcePort: port,
          destinationPort: target.port,
          sequence: random.integer(0, 0xffffffff),
          flags: TCP_FLAGS.syn,
          window: 512,
          identification: random.integer(0, 65_535)
        })
      )
      await attacker.pause((1_000 / perSecond) * random.between(0.7, 1.3))
    }
  }
}
