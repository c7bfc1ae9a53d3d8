// Packets that arrive together with the end of the connection are all handled.

import net from 'node:net'
import t from 'tap'
import { packet, publish } from '../../decode/craft-mqtt.js'
import { connectBytes } from '../../support/raw-client.js'
import { waitUntil } from '../../support/wait-until.js'
import { connect } from '../mqtt-client.js'
import { startBroker } from '../running-broker.js'

const CLIENTS = 20
const MESSAGES = 100
const DISCONNECT = packet(0xe0)

for (const qos of [0, 1] as const) {
  t.test(
    `CONNECT, QoS ${qos} messages, DISCONNECT and FIN: all messages arrive, and no will [MQTT-3.14.4-3]`,
    async t => {
      const broker = await startBroker(t, t.testdir({}))
      const reader = await connect(t, broker.url)
      const counts = { row: 0, will: 0 }
      reader.on('message', topic => {
        counts[topic as keyof typeof counts]++
      })
      await reader.subscribeAsync(['row', 'will'], { qos })
      for (let i = 0; i < CLIENTS; i++) {
        const socket = net
          .connect(broker.port, '127.0.0.1')
          .on('error', () => {})
          .resume()
        t.teardown(() => socket.destroy())
        const messages = Array.from({ length: MESSAGES }, () => publish('row', 'x', { qos }))
        socket.end(
          Buffer.concat([
            connectBytes({ clientId: `hasty-${i}`, will: { topic: 'will', payload: 'x' } }),
            ...messages,
            DISCONNECT
          ])
        )
      }
      await waitUntil('all messages', () => counts.row === CLIENTS * MESSAGES)
      await reader.publishAsync('will', 'the last', { qos })
      await waitUntil('the last', () => counts.will > 0)
      t.same(counts, { row: CLIENTS * MESSAGES, will: 1 })
    }
  )
}
