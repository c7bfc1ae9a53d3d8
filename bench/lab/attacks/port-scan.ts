// Port scan, below MQTT.

import type { Attack } from '../attacker.js'
import { tcpPacket, TCP_FLAGS } from '../raw-tcp.js'

const COMMON_PORTS = [
  21, 22, 23, 25, 53, 80, 110, 143, 443, 445, 502, 1880, 3306, 5432, 5672, 8080, 8123, 8443, 9001, 15672
]
const PROBES = [
  Buffer.from('\r\n\r\n'),
  Buffer.from('GET / HTTP/1.0\r\n\r\n'),
  Buffer.from('HELP\r\n'),
  Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3])
]

/** Port scan. */
export const portScan: Attack = {
  name: 'port-scan',
  summary:
    "port scan: 3 to 5 addresses, half-open as nmap -sS, full connections as -sT, with FIN, no flag or FIN, PSH and URG, and with service probes (-sV), over common ports and repeatedly the broker's own",
  attackers: [3, 5],
  async run(attacker) {
    const { random, party, target, scene } = attacker
    const brokerPorts = [target.port, target.tlsPort, target.webSocketPort].filter(port => port !== null)
    const raw = (port: number, flags: number): void => {
      scene.inject(
        tcpPacket({
          source: party.address,
          destination: target.host,
          sourcePort: random.integer(32_768, 61_000),
          destinationPort: port,
          sequence: random.integer(0, 0xffffffff),
          flags,
          window: 1_024,
          identification: random.integer(0, 65_535),
          options: (flags & TCP_FLAGS.syn) === 0 ? undefined : Buffer.from([2, 4, 5, 0xb4])
        })
      )
    }
    for (let round = 0; round < 60; round++) {
      const ports = random.shuffled([...COMMON_PORTS, ...brokerPorts, ...brokerPorts])
      const technique = random.integer(0, 3)
      for (const port of ports) {
        if (attacker.over) return
        if (technique === 0) raw(port, TCP_FLAGS.syn)
        else if (technique === 1)
          raw(port, random.oneOf([TCP_FLAGS.fin, 0, TCP_FLAGS.fin | TCP_FLAGS.push | TCP_FLAGS.urgent]))
        else {
          const socket = await attacker.connect(port, { timeoutMs: 500 })
          if (socket !== null && technique === 3) {
            await attacker.send(socket, random.oneOf(PROBES))
            await attacker.pause(random.between(50, 300))
          }
          if (random.chance(0.5)) socket?.resetAndDestroy()
          else socket?.destroy()
        }
        await attacker.pause(random.between(5, 30))
      }
      await attacker.pause(random.between(100, 1_000))
    }
  }
}
