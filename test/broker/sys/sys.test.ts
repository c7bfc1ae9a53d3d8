// $SYS/broker/... compared with mosquitto: same topics, formats, and values for the same traffic; never on disk.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { Load } from '../../../broker/sys/load.js'
import { freePort } from '../../support/free-port.js'
import { findProgram, programMissing } from '../../support/programs.js'
import { waitUntil } from '../../support/wait-until.js'
import { startListening } from '../listeners/listening.js'
import { connect, open } from '../mqtt-client.js'

/** Formats of values. */
const FORMATS: [string, RegExp][] = [
  ['count', /^-?\d+$/],
  ['average', /^\d+\.\d\d$/],
  ['uptime', /^\d+ seconds$/],
  ['version', /^\S+ version \S+$/]
]

function formatOf(value: string): string {
  return FORMATS.find(([, format]) => format.test(value))?.[0] ?? `none: ${value}`
}

/** Runs the same traffic on a broker; returns the last values of `$SYS/broker/#`. */
async function sysOf(test: Test, url: string): Promise<Map<string, string>> {
  const keeper = await connect(test, url, { clientId: 'keeper', clean: false })
  await keeper.subscribeAsync(['kept/+', 'other'], { qos: 1 })
  await keeper.endAsync()
  const publisher = await connect(test, url, { clientId: 'publisher' })
  for (let i = 0; i < 5; i++) await publisher.publishAsync(`kept/${i}`, 'x'.repeat(100), { qos: 1, retain: true })
  await publisher.publishAsync('nobody', 'reads this', { qos: 2 })
  const watcher = await connect(test, url, { clientId: 'watcher' })
  const seen = new Map<string, string>()
  watcher.on('message', (topic, payload) => {
    seen.set(topic, payload.toString())
  })
  await watcher.subscribeAsync('$SYS/broker/#')
  await waitUntil(
    'two intervals',
    () =>
      Number(seen.get('$SYS/broker/subscriptions/count')) >= 3 && Number(seen.get('$SYS/broker/messages/sent')) > 100
  )
  return seen
}

/** Starts a mosquitto that publishes statistics every second. */
async function startMosquitto(test: Test): Promise<string> {
  const port = await freePort()
  const file = path.join(test.testdir({}), 'mosquitto.conf')
  writeFileSync(file, `listener ${port} 127.0.0.1\nallow_anonymous true\nsys_interval 1\n`)
  const child = spawn(findProgram('mosquitto'), ['-c', file], { stdio: 'ignore' })
  test.teardown(async () => {
    const exited = once(child, 'exit')
    child.kill()
    await exited
  })
  const url = `mqtt://127.0.0.1:${port}`
  let isUp = false
  await waitUntil('mosquitto', () => {
    if (!isUp)
      open(test, url).once('connect', () => {
        isUp = true
      })
    return isUp
  })
  return url
}

t.test('topics, formats and values are those of mosquitto', { skip: programMissing('mosquitto') }, async t => {
  const artemis = await startListening(t, t.testdir({}), [[]], ['sysInterval: 1s'])
  const [own, reference] = await Promise.all([sysOf(t, artemis.url), sysOf(t, await startMosquitto(t))])
  const topics = (seen: Map<string, string>): string[] =>
    [...seen.keys()].filter(topic => !topic.startsWith('$SYS/broker/artemis/')).sort()
  t.same(topics(own), topics(reference))
  for (const topic of topics(reference)) {
    t.equal(formatOf(own.get(topic) ?? ''), formatOf(reference.get(topic) ?? ''), topic)
  }
  // Without publish/messages/received: mosquitto counts only QoS 0 in it, but the bytes of all messages.
  for (const topic of [
    'publish/bytes/received',
    'publish/messages/dropped',
    'subscriptions/count',
    'clients/expired',
    'shared_subscriptions/count'
  ]) {
    t.equal(own.get(`$SYS/broker/${topic}`), reference.get(`$SYS/broker/${topic}`), topic)
  }
  t.same(
    ['total', 'connected', 'disconnected'].map(name => own.get(`$SYS/broker/clients/${name}`)),
    ['3', '2', '1']
  )
})

t.test('messages are retained in memory and never on disk', async t => {
  const folder = t.testdir({})
  const broker = await startListening(t, folder, [[]], ['sysInterval: 1s'])
  const client = await connect(t, broker.url)
  const uptimes: string[] = []
  let isRetained = false
  client.on('message', (_topic, payload, { retain }) => {
    isRetained ||= retain
    uptimes.push(payload.toString())
  })
  await client.subscribeAsync('$SYS/broker/uptime')
  await waitUntil('three values', () => new Set(uptimes).size >= 3)
  t.ok(isRetained, 'the first value is a retained message')
  t.match(uptimes[0], /^\d+ seconds$/)
  t.match(await broker.stop(), { code: 0 })
  const store = path.join(folder, 'data', 'store')
  for (const file of readdirSync(store)) t.notOk(readFileSync(path.join(store, file)).includes('uptime'), file)
})

t.test('publishes the limit counters', async t => {
  const broker = await startListening(t, t.testdir({}), [[]], ['sysInterval: 1s', 'limits: { packetSize: 1KiB }'])
  const client = await connect(t, broker.url)
  let counters: Record<string, number> = {}
  client.on('message', (_topic, payload) => {
    counters = JSON.parse(payload.toString()) as Record<string, number>
  })
  await client.subscribeAsync('$SYS/broker/artemis/limits')
  const other = await connect(t, broker.url)
  other.publish('large', 'x'.repeat(2_000))
  await waitUntil('the count', () => counters.packetSize === 1)
})

t.test('sysInterval 0s: publishes nothing', async t => {
  const broker = await startListening(t, t.testdir({}), [[]], ['sysInterval: 0s'])
  const client = await connect(t, broker.url)
  let count = 0
  client.on('message', () => {
    count++
  })
  await client.subscribeAsync(['$SYS/broker/uptime', 'x'])
  await client.publishAsync('x', 'last', { qos: 1 })
  await waitUntil('the message', () => count > 0)
  t.equal(count, 1)
})

t.test('a load is a moving average of the rate per minute', t => {
  const load = new Load()
  for (let i = 1; i <= 6; i++) load.update(i * 10, 10_000)
  const [[, one], [, five], [, fifteen]] = load.texts()
  // 60 per minute for one minute: 60 (1 - e^-1), 60 (1 - e^-1/5), 60 (1 - e^-1/15).
  t.same([one, five, fifteen], ['37.93', '10.88', '3.87'])
  t.end()
})
