// The MQTT client of the commands against Artemis, mosquitto and misbehaving servers.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import net, { type AddressInfo, type Socket } from 'node:net'
import path from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { connectMqtt } from '../../../broker/client/mqtt-client.js'
import { certificate } from '../../support/encrypted.js'
import { freePort } from '../../support/free-port.js'
import { findProgram, programMissing } from '../../support/programs.js'
import { waitUntil } from '../../support/wait-until.js'
import { startBroker } from '../running-broker.js'

const run = promisify(execFile)
const LIMIT_MS = 60_000

/** Starts mosquitto with these settings. `user root` keeps its permission to read the key of the test. */
async function startMosquitto(t: Test, folder: string, lines: readonly string[]): Promise<void> {
  const file = path.join(folder, 'mosquitto.conf')
  writeFileSync(file, [...lines, 'log_dest stderr', 'user root', ''].join('\n'))
  const child = spawn(findProgram('mosquitto'), ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'close')
  t.teardown(async () => {
    child.kill()
    await ended
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  await waitUntil('mosquitto is running', () => log.includes('running'))
}

/** Starts a TCP server with a connection handler; returns its URL. */
async function startServer(t: Test, handle: (socket: Socket) => void): Promise<string> {
  const server = net.createServer(handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test(
  'publishes to mosquitto_sub and receives from mosquitto_pub through the broker',
  { skip: programMissing('mosquitto_pub') },
  async t => {
    const { url, port } = await startBroker(t, t.testdir({}))
    for (const protocolVersion of [4, 5] as const) {
      const client = await connectMqtt(url, { protocolVersion })
      await client.publish(`kept/${protocolVersion}`, 'one', { qos: 1, retain: true })
      const { stdout } = await run(findProgram('mosquitto_sub'), [
        '-p',
        String(port),
        '-t',
        `kept/${protocolVersion}`,
        '-C',
        '1',
        '-W',
        '10'
      ])
      t.equal(stdout, 'one\n')
      await client.subscribe(['news/#', `kept/${protocolVersion}`], 2)
      t.match(await client.next(LIMIT_MS), { topic: `kept/${protocolVersion}`, retain: true, qos: 1 })
      for (const qos of [0, 1, 2]) {
        await run(findProgram('mosquitto_pub'), [
          '-p',
          String(port),
          '-t',
          `news/${qos}`,
          '-q',
          String(qos),
          '-m',
          'two'
        ])
        const message = await client.next(LIMIT_MS)
        t.match(message, { topic: `news/${qos}`, qos, retain: false })
        t.equal(message?.payload.toString(), 'two')
      }
      t.equal(await client.next(1), undefined, 'no further message')
      await client.close()
      await t.rejects(client.publish('late', '', { qos: 1 }), { code: 'mqtt-lost' })
    }
  }
)

t.test('as an async iterator, yields all messages and ends with the connection', async t => {
  const { url } = await startBroker(t, t.testdir({}))
  const reader = await connectMqtt(url)
  const writer = await connectMqtt(url)
  await reader.subscribe(['n'])
  const count = 3_000
  for (let i = 0; i < count; i++) await writer.publish('n', String(i), { qos: i % 2 === 0 ? 0 : 1 })
  const got: number[] = []
  for await (const { payload } of reader) {
    got.push(Number(payload.toString()))
    if (got.length === count) await reader.close()
  }
  // Sorted: brokers need not keep the order between different QoS levels [MQTT-4.6.0-6].
  t.same(
    got.toSorted((a, b) => a - b),
    Array.from({ length: count }, (_, i) => i)
  )
  await writer.close()
})

t.test(
  'TLS and password against mosquitto, accepted and refused',
  { skip: programMissing('mosquitto') || programMissing('openssl') },
  async t => {
    const folder = t.testdir({})
    const { cert } = certificate(folder)
    const port = await freePort()
    await run(findProgram('mosquitto_passwd'), ['-b', '-c', path.join(folder, 'users'), 'ann', 'p@ss:/%'])
    await startMosquitto(t, folder, [
      `listener ${port} 127.0.0.1`,
      `certfile ${folder}/cert.pem`,
      `keyfile ${folder}/key.pem`,
      'allow_anonymous false',
      `password_file ${folder}/users`
    ])
    const client = await connectMqtt(`mqtts://ann:${encodeURIComponent('p@ss:/%')}@localhost:${port}`, {
      tls: { ca: cert }
    })
    await client.subscribe(['$SYS/broker/version'])
    t.match((await client.next(LIMIT_MS))?.payload.toString(), /^mosquitto version/)
    await client.close()
    await t.rejects(connectMqtt(`mqtts://ann:wrong@localhost:${port}`, { tls: { ca: cert } }), {
      code: 'mqtt-refused',
      message: /not authorized|username/i
    })
    await t.rejects(connectMqtt(`mqtts://localhost:${port}`, {}), {
      code: 'mqtt-unreachable',
      message: /self-signed/,
      remedy: /certificate/
    })
  }
)

t.test('connection failures are operator errors', async t => {
  for (const url of ['localhost', 'http://localhost', 'mqtt://', 'mqtt://a:%zz@host']) {
    await t.rejects(connectMqtt(url), { name: 'OperatorError', code: 'mqtt-url' }, url)
  }
  const port = await freePort()
  const refused = connectMqtt(`mqtt://ann:secret@127.0.0.1:${port}`)
  await t.rejects(refused, { code: 'mqtt-unreachable', message: /ECONNREFUSED/ })
  t.notMatch(await refused.catch(String), /secret/)

  const silent = await startServer(t, socket => {
    t.teardown(() => socket.destroy())
  })
  await t.rejects(connectMqtt(silent, { timeoutMs: 50 }), { code: 'mqtt-timeout' })
  const web = await startServer(t, socket => {
    socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n')
  })
  await t.rejects(connectMqtt(web), { name: 'OperatorError' })
  const closing = await startServer(t, socket =>
    socket.once('data', () => {
      socket.write(Buffer.from([0x20, 2, 0, 0]))
      setImmediate(() => socket.destroy())
    })
  )
  const client = await connectMqtt(closing)
  await t.rejects(client.next(LIMIT_MS), { code: 'mqtt-lost' })
  await t.rejects(client.subscribe(['#']), { code: 'mqtt-lost' })
})
