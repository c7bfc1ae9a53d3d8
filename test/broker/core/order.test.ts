// Messages stay in order and are not lost if only some of them must be stored.

import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import type { Aedes } from 'aedes'
import { connectClient, endClient } from '../../support/clients.js'
import { openBroker } from '../opened-broker.js'

const CLIENTS = 6
const MESSAGES = 200

/** Publishes a burst of messages of all QoS and returns what a subscriber to `#` receives, by topic. */
async function burst(aedes: Aedes): Promise<Map<string, number[]>> {
  const server = createServer(socket => {
    aedes.handle(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const subscriber = await connectClient({ port })
  const received = new Map<string, number[]>()
  subscriber.on('message', (topic, payload) => {
    const numbers = received.get(topic) ?? []
    numbers.push(Number(payload.toString()))
    received.set(topic, numbers)
  })
  await subscriber.subscribeAsync('#', { qos: 2 })
  const clients = await Promise.all(Array.from({ length: CLIENTS }, async () => await connectClient({ port })))
  await Promise.all(
    clients.flatMap((client, c) =>
      Array.from({ length: MESSAGES }, async (_, n) => {
        await client.publishAsync(`topic/${c}`, String(n), { qos: (c % 3) as 0 | 1 | 2, retain: n % 3 === 0 })
      })
    )
  )
  // Arrives after all others.
  const last = new Promise<void>(resolve => {
    subscriber.on('message', topic => {
      if (topic === 'last') resolve()
    })
  })
  await clients[0].publishAsync('last', '0', { qos: 1, retain: true })
  await last
  await Promise.all([subscriber, ...clients].map(endClient))
  server.close()
  await once(server, 'close')
  received.delete('last')
  return received
}

t.test('every message arrives once and in order', async t => {
  const { aedes } = await openBroker(t, {}, true)
  const received = await burst(aedes)
  const all = Array.from({ length: MESSAGES }, (_, n) => n)
  t.equal(received.size, CLIENTS)
  for (const [topic, numbers] of received) t.strictSame(numbers, all, topic)
})
