// Listeners: TCP, TLS, WebSocket, and WebSocket over TLS, with IPv4 and IPv6.

import { once } from 'node:events'
import { copyFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import tls, { type TLSSocket } from 'node:tls'
import type { MqttClient } from 'mqtt'
import t, { type Test } from 'tap'
import { WebSocket, type ClientOptions } from 'ws'
import { programMissing } from '../../support/programs.js'
import { waitUntil } from '../../support/wait-until.js'
import { connect, messages } from '../mqtt-client.js'
import { runArtemis } from '../running-broker.js'
import { clientCertificate, makeCertificates } from './certificates.js'
import { logged, startListening } from './listening.js'

const missing = programMissing('openssl')
const VERSIONS = [{ protocolVersion: 3, protocolId: 'MQIsdp' }, { protocolVersion: 4 }, { protocolVersion: 5 }] as const

/** Resolves when a socket is closed, with or without an error. */
async function closed(socket: net.Socket): Promise<void> {
  await new Promise<void>(resolve => {
    socket.once('close', () => {
      resolve()
    })
  })
}

async function roundTrip(test: Test, client: MqttClient, size: number): Promise<void> {
  await client.subscribeAsync('there/and/back', { qos: 1 })
  const got = messages(client, 1)
  await client.publishAsync('there/and/back', 'x'.repeat(size), { qos: 1 })
  const [text] = await got
  test.equal(text.length, 'there/and/back '.length + size)
}

t.test('MQTT 3.1, 3.1.1 and 5 over TCP, TLS, WebSocket, and WebSocket over TLS', { skip: missing }, async t => {
  const folder = t.testdir({})
  makeCertificates(folder, ['broker'])
  const encrypted = 'tls: { cert: broker.pem, key: broker.key }'
  const { ports, log, stop } = await startListening(t, folder, [
    [],
    [encrypted],
    ['protocol: websockets'],
    ['protocol: websockets', encrypted]
  ])
  for (const [i, scheme] of ['mqtt', 'mqtts', 'ws', 'wss'].entries()) {
    t.match(log(), `Listening for MQTT on ${scheme}://127.0.0.1:${ports[i]}.`)
    for (const version of VERSIONS) {
      const client = await connect(t, `${scheme}://127.0.0.1:${ports[i]}`, { ...version, rejectUnauthorized: false })
      for (const size of [0, 100, 300_000]) await roundTrip(t, client, size)
      await client.endAsync()
    }
  }
  t.match(await stop(), { code: 0 })
})

t.test('a dual-stack listener accepts IPv4 and IPv6', async t => {
  const {
    ports: [port]
  } = await startListening(t, t.testdir({}), [['host: "::"']])
  for (const host of ['127.0.0.1', '[::1]']) await roundTrip(t, await connect(t, `mqtt://${host}:${port}`), 10)
})

t.test('client certificates: none, of another CA, and valid', { skip: missing }, async t => {
  const folder = t.testdir({ other: {} })
  makeCertificates(folder, ['broker', 'sensor'])
  makeCertificates(path.join(folder, 'other'), ['sensor'])
  const {
    ports: [port],
    log
  } = await startListening(t, folder, [
    ['tls: { cert: broker.pem, key: broker.key, ca: ca.pem, requireClientCertificate: true }']
  ])
  for (const options of [{}, clientCertificate(path.join(folder, 'other'), 'sensor')]) {
    const socket = tls.connect({ ...options, port, host: '127.0.0.1', rejectUnauthorized: false })
    socket.on('error', () => {})
    await closed(socket)
  }
  await logged({ log }, '"limit":"tlsHandshake","address":"127.0.0.1"')
  await roundTrip(
    t,
    await connect(t, `mqtts://127.0.0.1:${port}`, {
      ...clientCertificate(folder, 'sensor'),
      rejectUnauthorized: false
    }),
    10
  )
})

t.test(
  'SIGHUP applies new certificates, and keeps the old ones if the new ones are invalid',
  { skip: missing },
  async t => {
    const folder = t.testdir({ second: {}, third: {} })
    makeCertificates(folder, ['broker'])
    for (const name of ['second', 'third']) makeCertificates(path.join(folder, name), ['broker'])
    const {
      ports: [port],
      log,
      child
    } = await startListening(t, folder, [['tls: { cert: broker.pem, key: broker.key }']])
    const fingerprint = async (): Promise<string> => {
      const socket: TLSSocket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
      await once(socket, 'secureConnect')
      const { fingerprint256 } = socket.getPeerCertificate()
      socket.destroy()
      return fingerprint256
    }
    const first = await fingerprint()
    const old = await connect(t, `mqtts://127.0.0.1:${port}`, { rejectUnauthorized: false })
    for (const file of ['broker.pem', 'broker.key'])
      copyFileSync(path.join(folder, 'second', file), path.join(folder, file))
    child.kill('SIGHUP')
    await waitUntil('the reload', () => log().includes('Reloaded settings'))
    const second = await fingerprint()
    t.not(second, first)
    await roundTrip(t, old, 10)
    copyFileSync(path.join(folder, 'third', 'broker.pem'), path.join(folder, 'broker.pem'))
    child.kill('SIGHUP')
    await waitUntil('the certificates are refused', () => log().includes('settings unchanged: The private key'))
    t.equal(await fingerprint(), second)
  }
)

t.test('the start fails with an invalid certificate, and the message contains its file', { skip: missing }, async t => {
  const folder = t.testdir({ empty: '', other: {} })
  makeCertificates(folder, ['broker'])
  makeCertificates(path.join(folder, 'other'), ['broker'])
  for (const [cert, key, message] of [
    ['nowhere.pem', 'broker.key', /certificate .*nowhere\.pem cannot be read \(ENOENT\)/],
    ['empty', 'broker.key', /certificate .*empty is invalid/],
    ['broker.pem', 'empty', /private key .*empty is invalid/],
    ['broker.pem', 'other/broker.key', /private key .*broker\.key is invalid/]
  ] as const) {
    await t.rejects(
      startListening(t, folder, [[`tls: { cert: ${cert}, key: ${key} }`]]),
      { message },
      `${cert}, ${key}`
    )
  }
  t.match(await runArtemis(['check'], folder), { code: 0 })
})

/** Returns the HTTP status of an upgrade request; 101 if it succeeds. */
async function upgrade(port: number, subprotocols: string[], options: ClientOptions, path = '/'): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, subprotocols, options)
  return await new Promise((resolve, reject) => {
    socket.on('unexpected-response', (_request, response) => {
      resolve(response.statusCode ?? 0)
      response.destroy()
    })
    socket.on('open', () => {
      resolve(101)
      socket.terminate()
    })
    socket.on('error', reject)
  })
}

t.test('a WebSocket needs the right path, subprotocol and origin', async t => {
  const {
    ports: [port, open],
    log
  } = await startListening(t, t.testdir({}), [
    ['protocol: websockets', 'path: /mqtt', 'origins: [ "https://panel.example" ]'],
    ['protocol: websockets', 'origins: [ "*" ]']
  ])
  const cases: [number, string[], ClientOptions, string][] = [
    [101, ['mqtt'], {}, '/mqtt'],
    [101, ['mqttv3.1'], {}, '/mqtt?token=1'],
    [101, ['other', 'mqtt'], { origin: 'https://panel.example' }, '/mqtt'],
    [101, ['mqtt'], { origin: 'http://127.0.0.1:8123' }, '/mqtt'],
    [404, ['mqtt'], {}, '/'],
    [400, [], {}, '/mqtt'],
    [400, ['amqp'], {}, '/mqtt'],
    [403, ['mqtt'], { origin: 'https://evil.example' }, '/mqtt'],
    [403, ['mqtt'], { origin: 'null' }, '/mqtt'],
    [403, ['mqtt'], { origin: 'https://panel.example.evil.example' }, '/mqtt'],
    [403, ['mqtt'], { origin: 'http://rebound.example:1', headers: { host: 'rebound.example:1' } }, '/mqtt'],
    [101, ['mqtt'], { origin: 'http://panel.local', headers: { host: 'panel.local:9001' } }, '/mqtt']
  ]
  for (const [status, subprotocols, options, path] of cases) {
    t.equal(
      await upgrade(port, subprotocols, options, path),
      status,
      `${subprotocols.join()} ${options.origin} ${path}`
    )
  }
  t.equal(await upgrade(open, ['mqtt'], { origin: 'https://evil.example' }), 101)
  await logged({ log }, '"limit":"webSocketHandshake","address":"127.0.0.1"')
  const answer = await fetch(`http://127.0.0.1:${port}/`)
  t.equal(answer.status, 426)
})

t.test('data written together is one uncompressed frame; pings are answered', async t => {
  const {
    ports: [port]
  } = await startListening(t, t.testdir({}), [['protocol: websockets']])
  const publisher = await connect(t, `ws://127.0.0.1:${port}`)
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, ['mqtt'], { perMessageDeflate: true })
  t.teardown(() => {
    socket.terminate()
  })
  await once(socket, 'open')
  t.equal(socket.extensions, '')
  const frames: Buffer[] = []
  socket.on('message', (data: Buffer) => {
    frames.push(data)
  })
  socket.send(Buffer.from([0x10, 15, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, 3, 0x72, 0x61, 0x77]))
  await waitUntil('the CONNACK', () => frames.length === 1)
  socket.send(Buffer.from([0x82, 6, 0, 1, 0, 1, 0x23, 0]))
  await waitUntil('the SUBACK', () => frames.length === 2)
  await publisher.publishAsync('topic', 'payload')
  await waitUntil('the message', () => frames.length === 3)
  t.equal(frames[2].length, 16, 'a PUBLISH that Aedes writes in several chunks')
  const pong = once(socket, 'pong')
  socket.ping('hello')
  t.equal(String((await pong)[0]), 'hello')
  socket.send('text')
  const [code] = (await once(socket, 'close')) as [number]
  t.equal(code, 1003, 'MQTT is binary [MQTT-6.0.0-1]')
})

t.test('plain bytes on a TLS port, and TLS on a plain port, close only that connection', { skip: missing }, async t => {
  const folder = t.testdir({})
  makeCertificates(folder, ['broker'])
  const {
    ports: [plain, encrypted, web]
  } = await startListening(t, folder, [[], ['tls: { cert: broker.pem, key: broker.key }'], ['protocol: websockets']])
  const bystander = await connect(t, `mqtt://127.0.0.1:${plain}`)
  const garbage = tls.connect({ port: plain, host: '127.0.0.1' })
  garbage.on('error', () => {})
  await closed(garbage)
  for (const port of [encrypted, web]) {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume().write(Buffer.from([0x10, 15, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, 3, 0x72, 0x61, 0x77]))
    await closed(socket)
  }
  await roundTrip(t, bystander, 10)
})
