// Each message arrives once and in order at clients that read; a client that does not read delays no other.

import { once } from 'node:events'
import net from 'node:net'
import t from 'tap'
import { connect, messages, open } from '../mqtt-client.js'
import { startBroker } from '../running-broker.js'

/** CONNECT of version 4, clean, as the client `raw`. */
const CONNECT = Buffer.from([0x10, 15, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, 3, 0x72, 0x61, 0x77])

/** SUBSCRIBE with packet id 1. */
function subscribe(...filters: [string, number][]): Buffer {
  const parts = filters.map(([filter, qos]) =>
    Buffer.concat([Buffer.from([0, filter.length]), Buffer.from(filter), Buffer.from([qos])])
  )
  const body = Buffer.concat([Buffer.from([0, 1]), ...parts])
  return Buffer.concat([Buffer.from([0x82, body.length]), body])
}

t.test('stored messages are not lost among messages that need no store', async t => {
  const broker = await startBroker(t, t.testdir({}))
  // For a persistent session, QoS 1 messages are stored.
  const keeper = await connect(t, broker.url, { clientId: 'keeper', clean: false })
  await keeper.subscribeAsync('stored', { qos: 1 })
  const reader = await connect(t, broker.url)
  await reader.subscribeAsync('#', { qos: 1 })
  const got = messages(reader, 600)
  const [one, two, three] = await Promise.all([connect(t, broker.url), connect(t, broker.url), connect(t, broker.url)])
  const expected: string[] = []
  for (let number = 0; number < 200; number++) {
    one.publish('stored', String(number), { qos: 1 })
    two.publish('retained', String(number), { retain: true })
    three.publish('plain', String(number))
    expected.push(`stored ${number}`, `retained ${number}`, `plain ${number}`)
    await new Promise(resolve => setImmediate(resolve))
  }
  t.same((await got).sort(), expected.sort())
})

t.test('a burst of one publisher arrives complete and in order', async t => {
  const broker = await startBroker(t, t.testdir({}))
  const readers = await Promise.all([
    connect(t, broker.url, { clientId: 'clean' }),
    connect(t, broker.url, { clientId: 'persistent', clean: false })
  ])
  for (const reader of readers) await reader.subscribeAsync('row', { qos: 2 })
  for (const qos of [1, 2] as const) {
    const got = readers.map(reader => messages(reader, 300))
    const publisher = await connect(t, broker.url)
    for (let number = 0; number < 300; number++) publisher.publish('row', String(number), { qos })
    const expected = Array.from({ length: 300 }, (_, number) => `row ${number}`)
    for (const rows of got) t.same(await rows, expected, `QoS ${qos}`)
  }
})

t.test('overlapping subscriptions give one copy', async t => {
  const broker = await startBroker(t, t.testdir({}))
  for (const qos of [0, 1] as const) {
    const reader = await connect(t, broker.url)
    await reader.subscribeAsync(['a/b', 'a/+', 'a/#', '#'], { qos })
    const got = messages(reader, 3)
    const publisher = await connect(t, broker.url)
    for (const number of [1, 2, 3]) await publisher.publishAsync('a/b', String(number), { qos })
    t.same(await got, ['a/b 1', 'a/b 2', 'a/b 3'], `QoS ${qos}`)
  }
})

t.test('a client that does not read delays no other client, and is disconnected', async t => {
  const broker = await startBroker(t, t.testdir({}))
  const stalled = net.connect(broker.port, '127.0.0.1')
  t.teardown(() => stalled.destroy())
  stalled.on('error', () => {})
  stalled.write(CONNECT)
  await once(stalled, 'data')
  stalled.write(subscribe(['#', 0]))
  await once(stalled, 'data')
  stalled.pause()

  const reader = await connect(t, broker.url)
  await reader.subscribeAsync(['small', '$SYS/+/disconnect/clients'])
  const publisher = await connect(t, broker.url)
  const disconnected = new Promise<string>(resolve =>
    reader.on('message', (topic, payload) => {
      if (topic.startsWith('$SYS/')) resolve(payload.toString())
    })
  )
  let done = false as boolean
  void disconnected.then(() => {
    done = true
  })
  const big = Buffer.alloc(1_000_000)
  // More than the buffers of the system and the broker, and than the 100 messages that Aedes would queue.
  for (let number = 0; number < 300 && !done; number++) {
    await publisher.publishAsync('big', big)
    const got = messages(reader, 1)
    publisher.publish('small', String(number))
    const [message] = await got
    if (message.startsWith('small')) t.equal(message, `small ${number}`)
  }
  t.equal(await disconnected, 'raw')
})

t.test('a SUBACK has a code for each filter, in order', async t => {
  const broker = await startBroker(t, t.testdir({}))
  const client = net.connect(broker.port, '127.0.0.1')
  t.teardown(() => client.destroy())
  client.write(CONNECT)
  await once(client, 'data')
  client.write(subscribe(['b', 0], ['5', 1], ['__proto__', 2], ['b', 1], ['3', 0]))
  const [suback] = (await once(client, 'data')) as [Buffer]
  t.same([...suback], [0x90, 7, 0, 1, 0, 1, 2, 1, 0])
})

t.test('a SUBSCRIBE with 3,000 filters is fast, also for a persistent session', async t => {
  const folder = t.testdir({})
  const broker = await startBroker(t, folder)
  const publisher = await connect(t, broker.url)
  for (let number = 0; number < 200; number++)
    await publisher.publishAsync(`kept/${number}`, 'x', { retain: true, qos: 1 })
  const filters = Array.from({ length: 3000 }, (_, number) => `many/${number}/+`)
  const options = { clientId: 'many', clean: false }
  const client = await connect(t, broker.url, options)
  // Storing all of them once per filter would take minutes and gigabytes.
  t.equal((await client.subscribeAsync([...filters, 'kept/7'], { qos: 1 })).length, 3001)
  await client.endAsync()
  await publisher.publishAsync('many/2999/x', 'found', { qos: 1 })
  t.same(await messages(open(t, broker.url, options), 1), ['many/2999/x found'])
})
