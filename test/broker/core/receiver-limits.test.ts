// What a client of MQTT 5 does not take, or comes too late for, goes to nobody and takes no room.

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
  lives?: number
}

async function publish(aedes: Aedes, { topic, bytes = 2, qos = 1, retain = false, lives }: Message): Promise<void> {
  const properties = lives === undefined ? {} : { properties: { messageExpiryInterval: lives } }
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

t.test('a client gets no packet that is larger than it takes: live, retained, or from its queue', async t => {
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
  t.equal(aedes.sessions.counts.messages, 0, 'what is too large does not wait either')
  client.stream.destroy()
  await waitUntil('it is gone', () => aedes.connectedClients === 0)
  await publish(aedes, { topic: 'large/away', bytes: 100 })
  await publish(aedes, { topic: 'small/away' })
  const again = await RawClient.connect(aedes, fields)
  await waitUntil('what waited', () => again.topics.includes('small/away'))
  await again.settled()
  t.notOk(again.topics.includes('large/away'))
  await waitUntil('nothing waits', () => aedes.sessions.counts.messages === 0)
})

t.test('a message whose time is over while it waits goes out no more', async t => {
  const { aedes } = await openBroker(t, { inflightMessages: 1 })
  const fields = { level: 5, clean: false, expirySeconds: 60 } as const
  const clean = await RawClient.connect(aedes, { clientId: 'clean', level: 5 })
  const lasting = await RawClient.connect(aedes, { clientId: 'lasting', ...fields })
  for (const client of [clean, lasting]) {
    client.send(SUBSCRIBE)
    await client.next(TYPE.suback)
  }
  await publish(aedes, { topic: 'first' })
  await publish(aedes, { topic: 'short', lives: 1 })
  const published = Date.now()
  await publish(aedes, { topic: 'long', lives: 100 })
  // One second is the shortest life that MQTT has.
  await waitUntil('its time is over', () => Date.now() > published + 1_000)
  for (const client of [clean, lasting]) {
    acknowledge(client, 'first')
    const { bytes } = await client.next(TYPE.publish, ({ topic }) => topic === 'long')
    await client.settled()
    t.same(client.topics, ['first', 'long'])
    const at = bytes.indexOf(Buffer.from([5, 2, 0, 0, 0]))
    t.ok(bytes[at + 5] < 100 && bytes[at + 5] > 0, `${bytes[at + 5]} of 100 s are left`)
    acknowledge(client, 'long')
  }
  await waitUntil('nothing waits', () => aedes.sessions.counts.messages === 0)
})
