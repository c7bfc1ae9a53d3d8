// The caps of artemis.yaml reach the thread that decodes and joins: tiny ones show in the counters of the status.

import net, { type Socket } from 'node:net'
import t from 'tap'
import { publish } from '../decode/craft-mqtt.js'
import { programMissing } from '../support/programs.js'
import { connectBytes } from '../support/raw-client.js'
import { waitUntil } from '../support/wait-until.js'
import { startListening } from './listeners/listening.js'
import { connect } from './mqtt-client.js'

/** The parts of the status that tell what a cap cost. */
interface Status {
  tap: { state: string; frames: number; streams?: Record<string, number> }
  join: Record<string, number>
}

/** Connections at a time. */
const CROWD = 40
/** Of one write: they wait for their frame together. */
const MESSAGES = 50

for (const [name, caps, moves] of [
  ['tiny caps', 'caps: { streams: 16, heldFrames: 1, waitingPackets: 1 }', true],
  ['those that it comes with', '', false]
] as const) {
  t.test(name, { skip: programMissing('tcpdump') }, async t => {
    const broker = await startListening(
      t,
      t.testdir({}),
      [[]],
      ['tap: { target: "local:lo" }', ...(caps === '' ? [] : [caps])]
    )
    const watcher = await connect(t, broker.url)
    let latest: Status | undefined
    watcher.on('message', (_topic, payload) => {
      latest = JSON.parse(payload.toString()) as Status
    })
    await watcher.subscribeAsync('$SYS/broker/artemis/status')
    await waitUntil('the tap', () => latest?.tap.state === 'up')
    const before = latest?.tap.frames ?? 0

    const crowd: Socket[] = Array.from({ length: CROWD }, (_, i) => {
      const socket = net.connect({ port: broker.port, host: '127.0.0.1', noDelay: true })
      socket
        .on('error', () => {})
        .resume()
        .write(connectBytes({ clientId: `c${i}` }))
      return socket
    })
    t.teardown(() => {
      for (const socket of crowd) socket.destroy()
    })
    const burst = Buffer.concat(Array.from({ length: MESSAGES }, (_, i) => publish(`t/${i}`, 'x')))
    const costs = (): number[] => [
      latest?.tap.streams?.streamsEvicted ?? 0,
      latest?.join.framesOverflowed ?? 0,
      latest?.join.connectionsOverflowed ?? 0
    ]
    const send = setInterval(() => {
      for (const socket of crowd) socket.write(burst)
    }, 50)
    t.teardown(() => {
      clearInterval(send)
    })
    await waitUntil('the status tells of it', () =>
      moves ? costs().every(cost => cost > 0) : (latest?.tap.frames ?? 0) > before + 1_000
    )
    if (!moves) t.equal(costs()[0], 0, 'no connection was forgotten')
    t.pass(`evicted, overflowed frames, overflowed connections: ${costs().join(', ')}`)
    clearInterval(send)
    t.match(await broker.stop(), { code: 0 })
  })
}
