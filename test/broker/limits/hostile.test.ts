// Hostile clients over real sockets: the broker keeps running, with bounded memory, and serves other clients.

import { readFileSync } from 'node:fs'
import net, { type Socket } from 'node:net'
import tls from 'node:tls'
import t, { type Test } from 'tap'
import { packet, publish, subscribe, text } from '../../decode/craft-mqtt.js'
import { connectBytes } from '../../support/raw-client.js'
import { programMissing } from '../../support/programs.js'
import { waitUntil } from '../../support/wait-until.js'
import { Random } from '../../../models/random.js'
import { makeCertificates } from '../listeners/certificates.js'
import { logged, startListening, type Listening } from '../listeners/listening.js'
import { connect, messages } from '../mqtt-client.js'

const MEBIBYTE = 2 ** 20
/** A PUBLISH that announces 256 MB. */
const HUGE = Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f])

/** Resident memory of the broker, bytes. */
function memoryOf({ child }: Listening): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
}

function openSocket(test: Test, port: number, ...parts: Uint8Array[]): Socket {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  test.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.resume()
  for (const part of parts) socket.write(part)
  return socket
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.closed)
    await new Promise<void>(resolve => {
      socket.once('close', () => {
        resolve()
      })
    })
}

/** Checks that the broker serves another client. */
async function checkServes(test: Test, port: number): Promise<void> {
  const client = await connect(test, `mqtt://127.0.0.1:${port}`)
  await client.subscribeAsync('bystander')
  const got = messages(client, 1)
  await client.publishAsync('bystander', 'here', { qos: 1 })
  test.same(await got, ['bystander here'])
  await client.endAsync()
}

t.test('a packet that declares 256 MB is rejected at its fixed header', async t => {
  const broker = await startListening(t, t.testdir({}), [[], ['protocol: websockets']])
  const [port, web] = broker.ports
  await checkServes(t, port)
  const before = memoryOf(broker)
  const chunk = Buffer.alloc(MEBIBYTE)
  const sockets = [
    openSocket(t, port, connectBytes(), HUGE, chunk),
    openSocket(t, port, Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]), chunk),
    // Length as five bytes [MQTT-1.5.5-1].
    openSocket(t, port, Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x7f]), chunk),
    openSocket(
      t,
      web,
      Buffer.from(
        'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n'
      ),
      // A binary frame of 2^40 bytes (RFC 6455, section 5.2).
      Buffer.from([0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
      chunk
    )
  ]
  await Promise.all(sockets.map(closed))
  // A hundred packets declare a length within the limit but never complete: only received bytes may be buffered.
  const incomplete = Array.from({ length: 100 }, (_, i) =>
    openSocket(t, port, connectBytes({ clientId: `p${i}` }), Buffer.from([0x30, 0x80, 0x80, 0x80, 0x07]))
  )
  await waitUntil('all are connected', () => incomplete.every(({ bytesRead }) => bytesRead > 0))
  await checkServes(t, port)
  const grown = memoryOf(broker) - before
  t.ok(grown < 48 * MEBIBYTE, `grown by ${Math.round(grown / MEBIBYTE)} MiB`)
  await logged(broker, '"limit":"packetSize","address":"127.0.0.1"')
  t.match(await broker.stop(), { code: 0 })
})

t.test('invalid MQTT, in any chunks, closes only its own connection', async t => {
  const broker = await startListening(
    t,
    t.testdir({}),
    [[]],
    ['limits: { connectTimeout: 2s, connections: 500, connectionsPerAddress: null }']
  )
  const [port] = broker.ports
  const hello = connectBytes()
  const random = new Random(7)
  const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => random.integer(256)))
  const bad: Buffer[][] = [
    [bytes(100)],
    [Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    [Buffer.from([22, 3, 1, 2, 0, 1])],
    [publish('before/connect', 'x')],
    [hello, hello],
    [hello, Buffer.from([0xf0, 0])],
    [hello, Buffer.from([0x36, 2, 0, 0])],
    [hello, packet(0x30, Buffer.from([0, 200, 1]))],
    [hello, packet(0x30, text('a/#/b'))],
    [hello, packet(0x80, Buffer.from([0, 1, 0, 1, 0x61, 0]))],
    [hello, packet(0x82, Buffer.from([0, 1]))],
    [hello, packet(0x30, text(''))],
    [packet(0x10, Buffer.concat([text('NOPE'), bytes(20)]))],
    [packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([9, 2, 0, 60]), text('x')]))],
    [hello, packet(0x20, Buffer.from([0, 0]))]
  ]
  await Promise.all(
    bad.map(async parts => {
      await closed(openSocket(t, port, ...parts))
    })
  )
  await logged(broker, '"limit":"malformed","address":"127.0.0.1"')
  // Mutated valid packets, split anywhere: the broker must survive them.
  const valid = [
    hello,
    publish('a/b', 'x'.repeat(300)),
    publish('c', 'y', { qos: 1 }),
    subscribe(['a/+', '#']),
    connectBytes({ level: 5, will: { topic: 'w', payload: 'p' } })
  ]
  for (let round = 0; round < 15; round++) {
    const sockets = Array.from({ length: 30 }, () => {
      const stream = Buffer.concat([
        hello,
        ...Array.from({ length: 1 + random.integer(4) }, () => valid[random.integer(valid.length)])
      ])
      for (let edits = random.integer(5); edits > 0; edits--)
        stream[random.integer(stream.length)] = random.integer(256)
      const cut = random.integer(stream.length)
      return openSocket(t, port, stream.subarray(0, cut), stream.subarray(cut))
    })
    await waitUntil('all are connected', () => sockets.every(({ connecting }) => !connecting))
    for (const socket of sockets) socket.end()
  }
  await checkServes(t, port)
  t.match(await broker.stop(), { code: 0 })
  t.notMatch(broker.log(), '"level":"error"')
})

t.test('a slow CONNECT, TLS or WebSocket handshake times out', { skip: programMissing('openssl') }, async t => {
  const folder = t.testdir({})
  makeCertificates(folder, ['broker'])
  const broker = await startListening(
    t,
    folder,
    [
      [],
      ['tls: { cert: broker.pem, key: broker.key }'],
      ['protocol: websockets'],
      ['protocol: websockets', 'tls: { cert: broker.pem, key: broker.key }']
    ],
    ['limits: { connectTimeout: 1s }']
  )
  const [plain, secure, web, webSecure] = broker.ports
  const start = performance.now()
  const slow = [
    openSocket(t, plain),
    openSocket(t, plain, connectBytes().subarray(0, 5)),
    openSocket(t, secure, Buffer.from([22, 3, 1])),
    openSocket(t, web, Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n')),
    tls.connect({ port: secure, host: '127.0.0.1', rejectUnauthorized: false }),
    tls.connect({ port: webSecure, host: '127.0.0.1', rejectUnauthorized: false })
  ]
  for (const socket of slow) socket.on('error', () => {}).resume()
  // One byte at a time, like slowloris.
  const drip = openSocket(t, plain)
  const bytes = connectBytes({ clientId: 'x'.repeat(200) })
  let at = 0
  const dripping = setInterval(() => {
    if (at < bytes.length) drip.write(bytes.subarray(at, ++at))
  }, 50)
  t.teardown(() => {
    clearInterval(dripping)
  })
  await Promise.all([...slow, drip].map(closed))
  // The timeouts of Node: one minute for HTTP, two for TLS, none for MQTT.
  t.ok(performance.now() - start < 30_000)
  await logged(broker, '"limit":"connectTimeout","address":"127.0.0.1"')
  await checkServes(t, plain)
})

t.test('connections beyond the limit are refused; the others are served; slots become free again', async t => {
  const broker = await startListening(
    t,
    t.testdir({}),
    [['host: "::"'], ['maxConnections: 2'], []],
    ['limits: { connections: 30, connectionsPerAddress: 20 }']
  )
  const [first, few, any] = broker.ports
  const bystander = await connect(t, `mqtt://[::1]:${first}`)
  const sockets = Array.from({ length: 60 }, (_, i) => openSocket(t, first, connectBytes({ clientId: `c${i}` })))
  const served = (): Socket[] => sockets.filter(({ destroyed, bytesRead }) => !destroyed && bytesRead > 0)
  await waitUntil(
    'connections beyond 20 are closed',
    () => served().length === 20 && sockets.filter(socket => socket.closed).length === 40
  )
  const got = messages(bystander, 1)
  await bystander.subscribeAsync('still')
  await bystander.publishAsync('still', 'served')
  t.same(await got, ['still served'])
  await logged(broker, '"limit":"connectionsPerAddress","address":"127.0.0.1"')
  for (const socket of sockets) socket.destroy()
  // The broker detects the close a moment later.
  let latest = openSocket(t, first, connectBytes())
  await waitUntil('a free slot', () => {
    if (latest.closed) latest = openSocket(t, first, connectBytes())
    return latest.bytesRead > 0
  })
  latest.destroy()

  const others = Array.from({ length: 4 }, (_, i) => openSocket(t, few, connectBytes({ clientId: `d${i}` })))
  await waitUntil('two of them are closed', () => others.filter(socket => socket.closed).length === 2)
  await logged(broker, '"limit":"maxConnections"')
  const many = Array.from({ length: 40 }, (_, i) =>
    net
      .connect({ port: any, host: '127.0.0.1', localAddress: `127.0.0.${2 + i}` })
      .on('error', () => {})
      .resume()
  )
  for (const socket of many) t.teardown(() => socket.destroy())
  await waitUntil('connections beyond 30 are closed', () => many.filter(socket => socket.closed).length >= 13)
  await logged(broker, '"limit":"connections"')
})
