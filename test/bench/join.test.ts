// The join over an impaired link, compared with tshark on a parallel full capture: a small run of bench:join.

import t from 'tap'
import { networkMissing } from '../../bench/lab/network.js'
import { runJoin, type RunOptions } from '../../bench/join/run.js'
import { programMissing, skipReason } from '../support/programs.js'

const BAD = { loss: 0.02, duplication: 0.02, reordering: 0.05 }
// Mid-stream pickup needs pauses that are longer than the scheduling delays of a busy machine.
const STEADY = { rate: 200, seconds: 5, publishers: 10 }
const WITH_PAUSES = { rate: 50, seconds: 16, publishers: 25 }
const RUNS: (Pick<RunOptions, 'carrier' | 'ipv6' | 'interrupt' | 'snapLength'> & { name: string })[] = [
  {
    name: 'TCP over IPv4, headers only, the tap killed in the middle',
    carrier: 'tcp',
    interrupt: true,
    snapLength: 66
  },
  {
    name: 'TLS 1.3 over IPv6, headers only, the tap killed in the middle',
    carrier: 'tls1.3',
    ipv6: true,
    interrupt: true,
    snapLength: 86
  },
  { name: 'WebSocket over IPv4, headers only', carrier: 'websocket', interrupt: false, snapLength: 66 }
]

const missing = networkMissing()
const skip =
  missing !== false
    ? skipReason(missing)
    : programMissing('socat') ||
      programMissing('ethtool') ||
      programMissing('tcpdump') ||
      programMissing('tshark') ||
      programMissing('openssl')

for (const { name, ...run } of RUNS) {
  t.test(name, { skip }, async t => {
    const result = await runJoin({
      ...run,
      link: BAD,
      ...(run.interrupt ? WITH_PAUSES : STEADY),
      subscribers: 3,
      seed: 5,
      directory: t.testdir()
    })
    t.same(result.examples, [], 'no frame has the packet of another frame')
    t.equal(result.wrong, 0)
    t.equal(result.unmatched, 0, 'every record matches a frame of the capture')
    t.ok(
      result.forwarded !== undefined && result.forwarded.b.lost > 0 && result.forwarded.b.reordered > 0,
      'the link dropped and reordered packets'
    )
    t.ok(result.mostInOne > 20, `up to ${result.mostInOne} packets in one frame`)
    t.ok(
      result.right > 300,
      `${result.right} of ${result.withMqtt} frames with MQTT are joined: ${JSON.stringify(result.join)}`
    )
    t.equal(result.tap.sessions, run.interrupt ? 2 : 1)
    if (run.interrupt)
      t.ok(result.join.midstreamFound > 0, `${result.join.midstreamFound} directions were picked up mid-stream`)
  })
}
