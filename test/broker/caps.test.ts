// The caps of artemis.yaml apply in the detection thread: small caps show in the counters of the status.

import net, { type Socket } from 'node:net'
import t from 'tap'
import { publish } from '../decode/craft-mqtt.js'
import { programMissing } from '../support/programs.js'
import { connectBytes } from '../support/raw-client.js'
import { waitUntil } from '../support/wait-until.js'
import { startListening } from './listeners/listening.js'
import { connect } from './mqtt-client.js'

/** The parts of the status with the cap counters. */
interface Status {
  tap: { state: string; frames: number; streams?: Record<string, number> }
  join: Record<string, number>
}

/** Number of connections. */
const CONNECTIONS = 40
/** Messages per write, which wait for their frame together. */
const MESSAGES = 50

for (const [name, caps, isExceeded] of [
  ['small caps', 'caps: { streams: 16, heldFrames: 1, waitingPackets: 1 }', true],
  ['default caps', '', false]
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

    const sockets: Socket[] = Array.from({ length: CONNECTIONS }, (_, i) => {
      const socket = net.connect({ port: broker.port, host: '127.0.0.1', noDelay: true })
      socket
        .on('error', () => {})
        .resume()
        .write(connectBytes({ clientId: `c${i}` }))
      return socket
    })
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
    })
    const burst = Buffer.concat(Array.from({ length: MESSAGES }, (_, i) => publish(`t/${i}`, 'x')))
    const counts = (): number[] => [
      latest?.tap.streams?.streamsEvicted ?? 0,
      latest?.join.framesOverflowed ?? 0,
      latest?.join.connectionsOverflowed ?? 0
    ]
    const send = setInterval(() => {
      for (const socket of sockets) socket.write(burst)
    }, 50)
    t.teardown(() => {
      clearInterval(send)
    })
    await waitUntil('the status shows it', () =>
      isExceeded ? counts().every(count => count > 0) : (latest?.tap.frames ?? 0) > before + 1_000
    )
    if (!isExceeded) t.equal(counts()[0], 0, 'no connection was evicted')
    t.pass(`evicted, overflowed frames, overflowed connections: ${counts().join(', ')}`)
    clearInterval(send)
    t.match(await broker.stop(), { code: 0 })
  })
}
