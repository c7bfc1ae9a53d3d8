// The broker with other clients: MQTT.js and the mosquitto tools.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import type { IClientOptions } from 'mqtt'
import t from 'tap'
import { connect, nextEvent, messages, open } from './mqtt-client.js'
import { startBroker } from './running-broker.js'

const run = promisify(execFile)

async function hasMosquittoTools(): Promise<boolean> {
  return await run('mosquitto_pub', ['--version']).then(
    () => true,
    (error: unknown) => (error as NodeJS.ErrnoException).code !== 'ENOENT'
  )
}

const skip = (await hasMosquittoTools()) ? false : 'mosquitto_pub is missing: apt-get install mosquitto-clients'

t.test('mosquitto_pub and mosquitto_sub work with every protocol version and QoS', { skip }, async t => {
  const broker = await startBroker(t, t.testdir({}))
  const port = String(broker.port)
  for (const version of ['mqttv31', 'mqttv311', 'mqttv5']) {
    for (const qos of ['0', '1', '2']) {
      const topic = `${version}/${qos}`
      await run('mosquitto_pub', ['-p', port, '-V', version, '-q', qos, '-r', '-t', topic, '-m', `hello ${qos}`])
      const { stdout } = await run('mosquitto_sub', [
        '-p',
        port,
        '-V',
        version,
        '-q',
        qos,
        '-t',
        `${version}/+/#`,
        '-t',
        topic,
        '-C',
        '1',
        '-W',
        '10'
      ])
      t.match(stdout, /^hello \d\n$/, topic)
    }
  }
})

t.test('retained messages survive a restart', async t => {
  const folder = t.testdir({})
  const first = await startBroker(t, folder)
  const publisher = await connect(t, first.url)
  await publisher.publishAsync('home/lamp', 'on', { retain: true, qos: 1 })
  await publisher.publishAsync('home/gone', 'x', { retain: true, qos: 1 })
  await publisher.publishAsync('home/gone', '', { retain: true, qos: 1 })
  // QoS 1 is acknowledged before it is stored; a message that is delivered has been stored.
  const watcher = await connect(t, first.url)
  const delivered = messages(watcher, 1)
  await watcher.subscribeAsync('home/lamp')
  t.same(await delivered, ['home/lamp on'])
  t.equal((await first.stop()).code, 0)

  const second = await startBroker(t, folder)
  const reader = await connect(t, second.url)
  const got = messages(reader, 1)
  await reader.subscribeAsync('home/#')
  t.same(await got, ['home/lamp on'])
})

t.test('messages for an offline client arrive in order, even over kills of the broker', async t => {
  const folder = t.testdir({})
  const away: IClientOptions = { clientId: 'away', clean: false }
  const expected: string[] = []

  for (const run of ['first', 'second', 'third']) {
    const broker = await startBroker(t, folder)
    if (run === 'first') {
      const subscriber = await connect(t, broker.url, away)
      await subscriber.subscribeAsync('queue', { qos: 1 })
      await subscriber.endAsync()
    }
    const watcher = await connect(t, broker.url)
    await watcher.subscribeAsync('queue')
    const delivered = messages(watcher, 20)
    const publisher = await connect(t, broker.url)
    for (let number = 0; number < 20; number++) {
      await publisher.publishAsync('queue', `${run} ${number}`, { qos: 1 })
      expected.push(`queue ${run} ${number}`)
    }
    // A message is forwarded after it is stored, so messages that the watcher received survive the kill.
    await delivered
    await broker.stop('SIGKILL')
  }

  const broker = await startBroker(t, folder)
  t.same(await messages(open(t, broker.url, away), 60), expected)
})

t.test('the will of a client that was connected when the broker was killed is published after the restart', async t => {
  const folder = t.testdir({})
  const first = await startBroker(t, folder)
  const will = (name: string) => ({ topic: `gone/${name}`, payload: name, qos: 1 as const, retain: true })
  await connect(t, first.url, { clientId: 'one', will: will('one') })
  const leaves = await connect(t, first.url, { clientId: 'two', will: will('two') })
  const watcher = await connect(t, first.url, { clientId: 'watcher' })
  await watcher.subscribeAsync('$SYS/+/disconnect/clients')
  const gone = messages(watcher, 1)
  await leaves.endAsync()
  await gone
  // Stored after the removal of the will: once it is acknowledged, the will is removed from the disk.
  await watcher.publishAsync('after', 'x', { qos: 2, retain: true })
  await first.stop('SIGKILL')

  const second = await startBroker(t, folder)
  const reader = await connect(t, second.url, { clientId: 'reader' })
  const got = messages(reader, 2)
  await reader.subscribeAsync('gone/#', { qos: 1 })
  await reader.publishAsync('gone/last', 'last', { qos: 1 })
  t.same((await got).sort(), ['gone/last last', 'gone/one one'], 'and no other will')
})

t.test('a stop publishes the wills of connected clients and stores them', async t => {
  const folder = t.testdir({})
  const first = await startBroker(t, folder)
  await connect(t, first.url, {
    clientId: 'one',
    will: { topic: 'gone', payload: Buffer.from('one'), qos: 1, retain: true }
  })
  t.match(await first.stop(), { code: 0, stderr: /^(?!.*"level":"error").*$/s })

  const second = await startBroker(t, folder)
  const reader = await connect(t, second.url)
  const got = messages(reader, 1)
  await reader.subscribeAsync('gone')
  t.same(await got, ['gone one'])
})

t.test('a persistent session keeps its subscriptions over a restart', async t => {
  const folder = t.testdir({})
  const options: IClientOptions = {
    clientId: 'persistent',
    protocolVersion: 5,
    clean: false,
    properties: { sessionExpiryInterval: 3600 }
  }
  const first = await startBroker(t, folder)
  const before = await connect(t, first.url, options)
  await before.subscribeAsync('news', { qos: 2 })
  t.equal((await first.stop()).code, 0)

  const second = await startBroker(t, folder)
  const client = open(t, second.url, options)
  const got = messages(client, 1)
  const [connack] = await nextEvent(client, 'connect')
  t.equal(connack.sessionPresent, true)
  const publisher = await connect(t, second.url)
  await publisher.publishAsync('news', 'today', { qos: 2 })
  t.same(await got, ['news today'])
})

t.test('a packet above the limit disconnects only its client', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'limits:\n  packetSize: 64KiB\n' })
  const broker = await startBroker(t, folder)
  const other = await connect(t, broker.url)
  const got = messages(other, 1)
  await other.subscribeAsync('size')
  for (const protocolVersion of [4, 5] as const) {
    const client = await connect(t, broker.url, { protocolVersion })
    const closed = nextEvent(client, 'close')
    client.publish('size', Buffer.alloc(65_536, 'x'))
    await closed
  }
  await other.publishAsync('size', 'small')
  t.same(await got, ['size small'])
})

t.test('a second signal ends a broker that is slow to stop', async t => {
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `
    import { stopSignal } from ${JSON.stringify(new URL('../../broker/process/stop-signal.js', import.meta.url).href)}
    let now = 0
    stopSignal(undefined, () => now)
    process.on('SIGINT', () => {
      process.stdout.write('still here')
      now += 300.5
    })
    setInterval(() => {}, 1000)
    process.stdout.write('ready')
  `
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] }
  )
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  child.kill('SIGINT')
  t.match(
    String(await once(child.stdout, 'data')),
    'still here',
    'npm forwards the signal that the terminal has already sent'
  )
  child.kill('SIGINT')
  t.same(await once(child, 'close'), [2, null])
})
