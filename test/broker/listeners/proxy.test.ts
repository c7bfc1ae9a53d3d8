// Connections behind a proxy: trusted headers; alerts, bans and limits by the announced address.

import net from 'node:net'
import t, { type Test } from 'tap'
import { connectBytes } from '../../support/raw-client.js'
import { waitUntil } from '../../support/wait-until.js'
import { garbage, reading } from '../../plugin/watching-itself.js'
import { connect } from '../mqtt-client.js'
import { logged, startListening } from './listening.js'
import { binaryHeader, connectProxied, lineHeader, socketWith } from './proxied.js'

const PROXIED = ['proxy: [ 127.0.0.0/8 ]']

/** Sends parts on a new connection; returns whether it is closed without data or receives a CONNACK. */
async function answer(test: Test, port: number, ...parts: Buffer[]): Promise<'closed' | 'connack'> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  test.teardown(() => socket.destroy())
  return await new Promise(resolve => {
    socket.on('error', () => {})
    socket.once('data', () => {
      resolve('connack')
    })
    socket.once('close', () => {
      resolve('closed')
    })
    const next = (): void => {
      const part = parts.shift()
      if (part !== undefined) socket.write(part, () => setImmediate(next))
    }
    next()
  })
}

t.test('a header is required from proxies, and accepted only from them', async t => {
  const {
    ports: [proxied, untrusted, open],
    log
  } = await startListening(t, t.testdir({}), [PROXIED, ['proxy: [ 192.0.2.0/24, "2001:db8::/32" ]'], []])
  const hello = connectBytes()
  t.equal(await answer(t, proxied, lineHeader('192.0.2.7'), hello), 'connack')
  t.equal(await answer(t, proxied, Buffer.concat([binaryHeader('192.0.2.7'), hello])), 'connack', 'in one segment')
  t.equal(
    await answer(t, proxied, ...Array.from(binaryHeader('192.0.2.7'), byte => Buffer.from([byte])), hello),
    'connack',
    'byte by byte'
  )
  t.equal(await answer(t, proxied, Buffer.from('PROXY UNKNOWN\r\n'), hello), 'connack', 'a health check')
  t.equal(await answer(t, proxied, hello), 'closed', 'no header')
  t.equal(await answer(t, proxied, Buffer.from('PROXY TCP4 nonsense\r\n'), hello), 'closed', 'a broken header')
  t.equal(await answer(t, untrusted, lineHeader('192.0.2.7'), hello), 'closed', 'from an address that is not a proxy')
  t.equal(await answer(t, open, lineHeader('192.0.2.7'), hello), 'closed', 'no header expected')
  await logged({ log }, '"limit":"proxyHeader","address":"127.0.0.1"')
})

t.test('a missing header times out like a missing CONNECT', async t => {
  const {
    ports: [port],
    log
  } = await startListening(t, t.testdir({}), [PROXIED], ['limits: { connectTimeout: 1s }'])
  t.equal(await answer(t, port, Buffer.from('PROXY TCP4 192.')), 'closed')
  await logged({ log }, '"limit":"connectTimeout","address":"127.0.0.1"')
  t.equal(await answer(t, port, lineHeader('192.0.2.7'), Buffer.from([0x10])), 'closed')
  await logged({ log }, '"limit":"connectTimeout","address":"192.0.2.7"')
})

t.test('limits apply to the announced address', async t => {
  const {
    ports: [port],
    log
  } = await startListening(t, t.testdir({}), [PROXIED], ['limits: { connectionsPerAddress: 2 }'])
  const [, second] = [
    await connectProxied(t, port, lineHeader('192.0.2.7')),
    await connectProxied(t, port, lineHeader('192.0.2.7'))
  ]
  await connectProxied(t, port, lineHeader('192.0.2.8'))
  t.equal(await answer(t, port, lineHeader('192.0.2.7'), connectBytes()), 'closed')
  await logged({ log }, '"limit":"connectionsPerAddress","address":"192.0.2.7"')
  await second.endAsync()
  await connectProxied(t, port, lineHeader('192.0.2.7'))
})

t.test('alerts and bans use the announced address', async t => {
  const broker = await startListening(
    t,
    t.testdir({}),
    [PROXIED, []],
    [
      // Learns only per-packet features; those of client behaviour take minutes.
      'detector: { kind: iforest, features: table1-no-identity }',
      'learn: { duration: 0s, minimumRecords: 600 }',
      'alert: { batchRecords: 20 }',
      'response: { action: ban }'
    ]
  )
  const [port, open] = broker.ports
  const watcher = await connect(t, `mqtt://127.0.0.1:${open}`)
  const alerts: { src_ip?: string; src_port?: number; alert?: { action: string } }[] = []
  let state = ''
  watcher.on('message', (topic, payload) => {
    const json = JSON.parse(payload.toString()) as { state?: string } & (typeof alerts)[number]
    if (topic.endsWith('alerts')) alerts.push(json)
    else state = json.state ?? ''
  })
  await watcher.subscribeAsync(['$SYS/broker/artemis/alerts', '$SYS/broker/artemis/status'])
  const sensors = [7, 8].map(n =>
    socketWith(port, Buffer.concat([lineHeader(`192.0.2.${n}`), connectBytes({ clientId: `sensor ${n}` })]))
  )
  for (const sensor of sensors) t.teardown(() => sensor.destroy())
  let sent = 0
  await waitUntil('the state guarding', () => {
    for (const sensor of sensors) for (let i = 0; i < 5 && sent < 5_000; i++) sensor.write(reading(sent++))
    return state === 'guarding'
  })
  const attacker = socketWith(
    port,
    Buffer.concat([lineHeader('192.0.2.66', 40_066), connectBytes({ clientId: 'drill' })])
  )
  sent = 0
  await waitUntil('the attacker is disconnected', () => {
    for (let i = 0; i < 20 && sent < 20_000; i++) if (!attacker.destroyed) attacker.write(garbage(sent++))
    return attacker.destroyed
  })
  await waitUntil('the alert', () =>
    alerts.some(({ src_ip: source, alert }) => source === '192.0.2.66' && alert !== undefined)
  )
  t.match(
    alerts.find(({ src_ip: source, alert }) => source === '192.0.2.66' && alert !== undefined),
    { src_port: 40_066, alert: { action: 'blocked' } }
  )
  t.equal(await answer(t, port, lineHeader('192.0.2.66'), connectBytes({ clientId: 'another' })), 'closed', 'banned')
  t.equal(await answer(t, port, lineHeader('192.0.2.9'), connectBytes({ clientId: 'bystander' })), 'connack')
  t.ok(
    sensors.every(({ destroyed }) => !destroyed),
    'no other client behind the proxy is disconnected',
    { log: broker.log().slice(-5_000), alerts: JSON.stringify(alerts) }
  )
})
