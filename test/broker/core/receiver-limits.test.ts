// Messages that are too large for an MQTT 5 client, or expired, are not sent and not queued.

import type { Aedes } from 'aedes'
import t from 'tap'
import { packet, text } from '../../decode/craft-mqtt.js'
import { RawClient, TYPE } from '../../support/raw-client.js'
import { waitUntil } from '../../support/wait-until.js'
import { openBroker } from '../opened-broker.js'

/** A SUBSCRIBE of MQTT 5 to everything. */
const SUBSCRIBE = packet(0x82, Buffer.concat([Buffer.from([0, 1, 0]), text('#'), Buffer.from([2])]))

interface Message {
  topic: string
  bytes?: number
  qos?: 0 | 1 | 2
  retain?: boolean
  /** Seconds. */
  expiry?: number
}

async function publish(aedes: Aedes, { topic, bytes = 2, qos = 1, retain = false, expiry }: Message): Promise<void> {
  const properties = expiry === undefined ? {} : { properties: { messageExpiryInterval: expiry } }
  const message = {
    cmd: 'publish',
    topic,
    payload: Buffer.alloc(bytes, 'x'),
    qos,
    retain,
    dup: false,
    ...properties
  } as const
  await new Promise<void>((resolve, reject) => {
    aedes.publish(message, error => {
      if (error) reject(error)
      else resolve()
    })
  })
}

function acknowledge(client: RawClient, topic: string): void {
  const one = client.received.find(received => received.topic === topic)
  client.send(packet(0x40, one?.bytes.subarray(2 + 2 + topic.length, 2 + 2 + topic.length + 2)))
}

t.test('no packet exceeds the Maximum Packet Size: live, retained or queued', async t => {
  const { aedes } = await openBroker(t)
  const fields = { clientId: 'small', level: 5, maximumPacketSize: 60, clean: false, expirySeconds: 60 } as const
  await publish(aedes, { topic: 'kept/large', bytes: 100, retain: true })
  await publish(aedes, { topic: 'kept/small', retain: true })
  const client = await RawClient.connect(aedes, fields)
  client.send(SUBSCRIBE)
  await client.next(TYPE.suback)
  for (const qos of [0, 1, 2] as const) {
    await publish(aedes, { topic: `large/${qos}`, bytes: 100, qos })
    await publish(aedes, { topic: `small/${qos}`, qos })
  }
  await waitUntil('the small ones', () => client.topics.length === 4)
  await client.settled()
  t.same(client.topics.toSorted(), ['kept/small', 'small/0', 'small/1', 'small/2'])
  t.equal(aedes.sessions.counts.messages, 0, 'too large messages are not queued')
  client.stream.destroy()
  await waitUntil('the disconnect', () => aedes.connectedClients === 0)
  await publish(aedes, { topic: 'large/offline', bytes: 100 })
  await publish(aedes, { topic: 'small/offline' })
  const again = await RawClient.connect(aedes, fields)
  await waitUntil('the queued message', () => again.topics.includes('small/offline'))
  await again.settled()
  t.notOk(again.topics.includes('large/offline'))
  await waitUntil('an empty queue', () => aedes.sessions.counts.messages === 0)
})

t.test('a queued message that expires is not sent', async t => {
  const { aedes } = await openBroker(t, { inflightMessages: 1 })
  const fields = { level: 5, clean: false, expirySeconds: 60 } as const
  const clean = await RawClient.connect(aedes, { clientId: 'clean', level: 5 })
  const persistent = await RawClient.connect(aedes, { clientId: 'persistent', ...fields })
  for (const client of [clean, persistent]) {
    client.send(SUBSCRIBE)
    await client.next(TYPE.suback)
  }
  await publish(aedes, { topic: 'first' })
  await publish(aedes, { topic: 'short', expiry: 1 })
  const published = Date.now()
  await publish(aedes, { topic: 'long', expiry: 100 })
  // One second is the shortest expiry in MQTT.
  await waitUntil('the expiry', () => Date.now() > published + 1_000)
  for (const client of [clean, persistent]) {
    acknowledge(client, 'first')
    const { bytes } = await client.next(TYPE.publish, ({ topic }) => topic === 'long')
    await client.settled()
    t.same(client.topics, ['first', 'long'])
    const at = bytes.indexOf(Buffer.from([5, 2, 0, 0, 0]))
    t.ok(bytes[at + 5] < 100 && bytes[at + 5] > 0, `${bytes[at + 5]} of 100 s are left`)
    acknowledge(client, 'long')
  }
  await waitUntil('an empty queue', () => aedes.sessions.counts.messages === 0)
})
