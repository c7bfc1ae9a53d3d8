// Limits of clients on a running broker.

import { once } from 'node:events'
import net from 'node:net'
import type { IDisconnectPacket, MqttClient, Packet } from 'mqtt'
import t, { type Test } from 'tap'
import { packet, publish, text } from '../../decode/craft-mqtt.js'
import { connectBytes } from '../../support/raw-client.js'
import { waitUntil } from '../../support/wait-until.js'
import { logged, startListening, type Listening } from '../listeners/listening.js'
import { connect, nextEvent, messages, open } from '../mqtt-client.js'

async function startLimited(test: Test, limits: string, folder = test.testdir({})): Promise<Listening> {
  return await startListening(test, folder, [[]], [`limits: { ${limits} }`])
}

/** Publishes messages; returns the time until the broker has processed them, ms. */
async function flood(publisher: MqttClient, count: number, size: number): Promise<number> {
  const start = performance.now()
  for (let i = 0; i < count; i++) publisher.publish('flood', Buffer.alloc(size))
  await publisher.publishAsync('flood/end', '', { qos: 1 })
  return performance.now() - start
}

/** Resolves when all messages of a client are stored: QoS 2 is acknowledged after that, QoS 1 before. */
async function stored(publisher: MqttClient): Promise<void> {
  await publisher.publishAsync('stored', '', { qos: 2 })
}

t.test('messages beyond the rate limit are delayed, not lost', async t => {
  const broker = await startLimited(t, 'messagesPerSecond: 100')
  const reader = await connect(t, broker.url)
  let got = 0
  reader.on('message', () => {
    got++
  })
  await reader.subscribeAsync('flood')
  const publisher = await connect(t, broker.url, { keepalive: 30 })
  const ms = await flood(publisher, 300, 1_000)
  t.ok(ms > 1_000, `300 messages at 100 a second, 100 of them at once: ${Math.round(ms)} ms`)
  await waitUntil('all messages', () => got === 300)
  t.ok(publisher.connected)
  await logged(broker, '"limit":"messagesPerSecond","address":"127.0.0.1"')
})

t.test('a client need not wait for its CONNACK, however its packets are split', async t => {
  const broker = await startListening(t, t.testdir({}), [[]])
  const reader = await connect(t, broker.url)
  const expected = Array.from({ length: 2_000 }, (_, i) => `at once ${i}`)
  for (const cut of [1, 2, 7, 30, 4_000]) {
    const got = messages(reader, expected.length)
    await reader.subscribeAsync('at once', { qos: 1 })
    const bytes = Buffer.concat([
      connectBytes({ clientId: `hasty ${cut}` }),
      ...expected.map((_, i) => publish('at once', String(i)))
    ])
    const socket = net.connect({ port: broker.port, host: '127.0.0.1', noDelay: true })
    t.teardown(() => socket.destroy())
    socket.on('error', () => {})
    socket.write(bytes.subarray(0, cut), () => {
      setImmediate(() => {
        socket.write(bytes.subarray(cut))
      })
    })
    t.same(await got, expected, `the first chunk has ${cut} bytes`)
  }
})

t.test('bytes beyond the rate limit are delayed, and other clients are not', async t => {
  const broker = await startLimited(t, 'bytesPerSecond: 256KiB')
  const publisher = await connect(t, broker.url)
  const bystander = await connect(t, broker.url)
  await bystander.subscribeAsync('quick')
  let isOver = false
  const flooding = flood(publisher, 8, 100_000).finally(() => {
    isOver = true
  })
  const got = messages(bystander, 1)
  await bystander.publishAsync('quick', 'x')
  await got
  t.notOk(isOver)
  const ms = await flooding
  t.ok(ms > 1_500, `800 kB at 256 KiB a second: ${Math.round(ms)} ms`)
  await logged(broker, '"limit":"bytesPerSecond"')
})

t.test('the queue of a disconnected client is bounded, also after a restart', async t => {
  const folder = t.testdir({})
  const options = { clientId: 'away', clean: false } as const
  const first = await startLimited(t, 'queuedMessages: 50', folder)
  const subscriber = await connect(t, first.url, options)
  await subscriber.subscribeAsync('kept', { qos: 1 })
  await subscriber.endAsync()
  const publisher = await connect(t, first.url)
  for (let i = 0; i < 80; i++) await publisher.publishAsync('kept', String(i), { qos: 1 })
  await logged(first, '"limit":"queuedMessages"')
  t.match(await first.stop(), { code: 0 })

  const second = await startLimited(t, 'queuedMessages: 60', folder)
  const again = await connect(t, second.url)
  for (let i = 80; i < 100; i++) await again.publishAsync('kept', String(i), { qos: 1 })
  await stored(again)
  const back = open(t, second.url, options)
  let acknowledged = 0
  back.on('packetsend', ({ cmd }) => {
    if (cmd === 'puback') acknowledged++
  })
  const got = await messages(back, 60)
  t.same(got, [
    ...Array.from({ length: 50 }, (_, i) => `kept ${i}`),
    ...Array.from({ length: 10 }, (_, i) => `kept ${80 + i}`)
  ])
  await waitUntil('the acknowledgements', () => acknowledged === 60)
  await back.endAsync()
  // The queue has room again.
  for (let i = 0; i < 5; i++) await again.publishAsync('kept', `later ${i}`, { qos: 1 })
  await stored(again)
  t.same(
    await messages(open(t, second.url, options), 5),
    Array.from({ length: 5 }, (_, i) => `kept later ${i}`)
  )
})

t.test('the queue is bounded in bytes too', async t => {
  const broker = await startLimited(t, 'queuedBytes: 100KiB')
  const options = { clientId: 'away', clean: false } as const
  const subscriber = await connect(t, broker.url, options)
  await subscriber.subscribeAsync('kept', { qos: 1 })
  await subscriber.endAsync()
  const publisher = await connect(t, broker.url)
  for (let i = 0; i < 20; i++) await publisher.publishAsync('kept', String(i).padEnd(10_000), { qos: 1 })
  await logged(broker, '"limit":"queuedBytes"')
  const got = await messages(open(t, broker.url, options), 10)
  t.equal(got[9]?.trim(), 'kept 9')
})

t.test('a connected client that never acknowledges loses messages, not its connection', async t => {
  const broker = await startLimited(t, 'queuedMessages: 20')
  const silent = net.connect(broker.port, '127.0.0.1')
  t.teardown(() => silent.destroy())
  let bytes = 0
  silent.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  silent.write(connectBytes({ clientId: 'silent', clean: false }))
  await once(silent, 'data')
  silent.write(packet(0x82, Buffer.concat([Buffer.from([0, 1]), text('t'), Buffer.from([1])])))
  await waitUntil('the SUBACK', () => bytes === 9)
  const publisher = await connect(t, broker.url)
  // 20 in flight, 20 queued, 10 beyond the limit.
  for (let i = 0; i < 50; i++) await publisher.publishAsync('t', 'x', { qos: 1 })
  silent.write(packet(0xc0))
  // 20 PUBLISH packets of 8 bytes and a PINGRESP.
  await waitUntil('the PINGRESP', () => bytes >= 9 + 2 + 160)
  t.equal(bytes, 9 + 2 + 160)
  await logged(broker, '"limit":"queuedMessages","address":"127.0.0.1","client":"silent"')
  t.notOk(silent.destroyed)
})

t.test('each subscription beyond the limit is refused and not stored in the session', async t => {
  const broker = await startLimited(t, 'subscriptionsPerClient: 5')
  const client = await connect(t, broker.url, { clientId: 'many', clean: false })
  const suback = new Promise<Extract<Packet, { cmd: 'suback' }>>(resolve => {
    client.on('packetreceive', one => {
      if (one.cmd === 'suback') resolve(one)
    })
  })
  await client.subscribeAsync(['a', 'b', 'c', 'd', 'e', 'f', 'g'], { qos: 1 }).catch(() => {})
  t.same((await suback).granted, [1, 1, 1, 1, 1, 128, 128])
  await client.subscribeAsync('a', { qos: 0 })
  await client.unsubscribeAsync('b')
  await client.subscribeAsync('f', { qos: 1 })
  await client.endAsync()
  const publisher = await connect(t, broker.url)
  for (const topic of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await publisher.publishAsync(topic, 'x', { qos: 1 })
  await stored(publisher)
  t.same((await messages(open(t, broker.url, { clientId: 'many', clean: false }), 4)).sort(), [
    'c x',
    'd x',
    'e x',
    'f x'
  ])
  await logged(broker, '"limit":"subscriptionsPerClient","address":"127.0.0.1","client":"many"')
})

t.test('topics beyond the limit: refused in MQTT 5, disconnected in MQTT 3', async t => {
  const broker = await startLimited(t, 'topicsPerClient: 3')
  const modern = await connect(t, broker.url, { protocolVersion: 5 })
  for (const topic of ['a', 'b', 'a', 'c']) await modern.publishAsync(topic, 'x', { qos: 1 })
  await t.rejects(modern.publishAsync('d', 'x', { qos: 1 }), { code: 0x87 })
  await modern.publishAsync('c', 'x', { qos: 1 })
  const classic = await connect(t, broker.url, { protocolVersion: 4 })
  const closed = nextEvent(classic, 'close')
  for (const topic of ['a', 'b', 'c', 'd']) classic.publish(topic, 'x')
  await closed
  await logged(broker, '"limit":"topicsPerClient"')
})

t.test('a keep-alive beyond the limit: shortened in MQTT 5, refused in MQTT 3 as in mosquitto', async t => {
  const broker = await startLimited(t, 'keepalive: 60s')
  const modern = open(t, broker.url, { protocolVersion: 5, keepalive: 600 })
  const [connack] = await nextEvent(modern, 'connect')
  t.equal(connack.properties?.serverKeepAlive, 60)
  await connect(t, broker.url, { keepalive: 60 })
  for (const keepalive of [61, 0]) {
    const [error] = await nextEvent(open(t, broker.url, { keepalive }), 'error')
    t.match(error, { code: 2 })
  }
  await logged(broker, '"limit":"keepalive"')
})

t.test('a client that never releases QoS 2 messages is disconnected', async t => {
  const broker = await startLimited(t, 'inflightMessages: 5, queuedMessages: 10')
  const numbered = (id: number): Buffer =>
    packet(0x34, Buffer.concat([text('t'), Buffer.from([0, id]), Buffer.from('x')]))
  const modern = await connect(t, broker.url, { protocolVersion: 5, manualConnect: false })
  const disconnect = new Promise<IDisconnectPacket>(resolve => {
    modern.on('packetreceive', one => {
      if (one.cmd === 'disconnect') resolve(one)
    })
  })
  const properties = Buffer.from([0])
  for (let id = 1; id < 12; id++)
    modern.stream.write(packet(0x34, Buffer.concat([text('t'), Buffer.from([0, id]), properties, Buffer.from('x')])))
  t.equal((await disconnect).reasonCode, 0x93)
  const classic = net.connect(broker.port, '127.0.0.1')
  t.teardown(() => classic.destroy())
  classic.on('error', () => {}).resume()
  classic.write(connectBytes({ clientId: 'classic' }))
  for (let id = 1; id < 12; id++) classic.write(numbered(id))
  await once(classic, 'close')
  await logged(broker, '"limit":"inflightMessages","address":"127.0.0.1"')
  // No limit for a client that releases them.
  const good = await connect(t, broker.url, { protocolVersion: 5 })
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      Array.from({ length: 9 }, async (_, i) => {
        await good.publishAsync('t', String(i), { qos: 2 })
      })
    )
  }
})

t.test('a packet beyond packetSize disconnects the client', async t => {
  const broker = await startLimited(t, 'packetSize: 1KiB')
  const client = net.connect(broker.port, '127.0.0.1')
  t.teardown(() => client.destroy())
  client.on('error', () => {}).resume()
  client.write(Buffer.concat([connectBytes(), publish('t', 'x'.repeat(900)), publish('t', 'x'.repeat(1_100))]))
  await once(client, 'close')
  await logged(broker, '"limit":"packetSize","address":"127.0.0.1","client":"tester"')
})
