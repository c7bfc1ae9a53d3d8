// Below MQTT: SYNs without end.

import type { Attack } from '../attacker.js'
import { tcpPacket, TCP_FLAGS } from '../raw-tcp.js'

const MOST_SYNS = 1_500

/** Half-open connections. */
export const synFlood: Attack = {
  name: 'syn-flood',
  summary:
    'SYN flood: 4 to 8 forged addresses that nobody has, bare SYNs as hping3 makes them, 20 to 50 a second each, the answers lost',
  attackers: [4, 8],
  isForged: true,
  async run(attacker) {
    const { chance, party, target, scene } = attacker
    const perSecond = chance.between(20, 50)
    let port = chance.whole(1_024, 60_000)
    for (let sent = 0; sent < MOST_SYNS && !attacker.over; sent++) {
      port = port === 65_535 ? 1_024 : port + 1
      scene.inject(
        tcpPacket({
          source: party.address,
          destination: target.host,
          sourcePort: port,
          destinationPort: target.port,
          sequence: chance.whole(0, 0xffffffff),
          flags: TCP_FLAGS.syn,
          window: 512,
          identification: chance.whole(0, 65_535)
        })
      )
      await attacker.pause((1_000 / perSecond) * chance.between(0.7, 1.3))
    }
  }
}
