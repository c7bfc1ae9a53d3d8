// artemis import: copies retained messages of a running mosquitto and reports what it does not copy.

import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { programMissing } from '../../support/programs.js'
import { clientCertificate, makeCertificates } from '../listeners/certificates.js'
import { waitUntil } from '../../support/wait-until.js'
import { startCompared } from '../comparison/compared-brokers.js'
import { MARK, Probe } from '../comparison/probe.js'
import { runArtemis, startBroker } from '../running-broker.js'

const skip = programMissing('mosquitto')

t.test('copies retained messages with their QoS and properties', { skip }, async t => {
  const old = await startCompared(t, 'mosquitto', {
    conf: 'listener {port} 127.0.0.1\nallow_anonymous true\nsys_interval 1\n'
  })
  const writer = await Probe.connect({ port: old.port, version: 5 })
  for (const qos of [0, 1, 2] as const) await writer.publish(`kept/${qos}`, `value ${qos}`, { qos, retain: true })
  await writer.publish('passing', 'by')
  await new Promise(resolve => {
    writer.client.publish(
      'kept/rich',
      'x',
      { qos: 1, retain: true, properties: { contentType: 'text/plain', userProperties: { a: 'b' } } },
      resolve
    )
  })
  const away = await Probe.connect({ port: old.port, clientId: 'away', clean: false })
  await away.subscribe('#', 1)
  await away.end()

  const folder = t.testdir({ new: {} })
  const data = path.join(folder, 'new')
  const { code, stderr, stdout } = await runArtemis(['import', `mqtt://127.0.0.1:${old.port}`, '--data', 'data'], data)
  t.same({ code, stdout }, { code: 0, stdout: '' }, stderr)
  t.match(stderr, /^Copied 4 retained messages from mqtt:\/\/127\.0\.0\.1:\d+ to .*data\.\n/)
  t.match(stderr, /Sessions were not copied/)
  await writer.end()

  const { port } = await startBroker(t, data)
  const reader = await Probe.connect({ port, version: 5 })
  const rich = new Promise(resolve => {
    reader.client.on('message', (topic, _payload, { properties }) => {
      if (topic === 'kept/rich') resolve(properties)
    })
  })
  await reader.subscribe(['#', MARK], 2)
  await waitUntil('all messages arrive', () => reader.received.length >= 4)
  t.same([...reader.received].sort(), [
    'kept/0 value 0 q0 R',
    'kept/1 value 1 q1 R',
    'kept/2 value 2 q2 R',
    'kept/rich x q1 R'
  ])
  t.match(await rich, { contentType: 'text/plain', userProperties: { a: 'b' } })
  await reader.end()
})

t.test('copies more messages than mosquitto sends to one subscription', { skip }, async t => {
  const old = await startCompared(t, 'mosquitto', {
    conf: 'listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 1000\nsys_interval 1\n'
  })
  const writer = await Probe.connect({ port: old.port })
  for (let i = 0; i < 2400; i++) await writer.publish(`house/room-${i % 4}/${i}`, 'x'.repeat(50), { retain: true })
  await writer.end()
  const { stderr } = await runArtemis(['import', `mqtt://127.0.0.1:${old.port}`, '--data', 'copied'], t.testdir({}))
  t.match(stderr, /^Copied 2400 retained messages/)
  t.notMatch(stderr, / more: /)
})

t.test('connects with a user over TLS, and reports errors', { skip: skip || programMissing('openssl') }, async t => {
  const old = await startCompared(t, 'artemis', {
    conf: 'listener {port} 127.0.0.1\ncertfile {dir}/localhost.pem\nkeyfile {dir}/localhost.key\ncafile {dir}/ca.pem\nrequire_certificate true\nuse_identity_as_username true\n',
    prepare: folder => {
      makeCertificates(folder, ['localhost', 'alice'])
    }
  })
  const { folder } = old
  const at = (name: string): string => path.join(folder, name)
  const { ca, cert, key } = clientCertificate(folder, 'alice')
  const writer = await Probe.connect({ port: old.port, protocol: 'mqtts', ca, cert, key, servername: 'localhost' })
  await writer.publish('kept', 'x', { retain: true })
  await writer.end()
  mkdirSync(at('yaml'))
  writeFileSync(at('yaml/artemis.yaml'), 'persistence: false\n')
  const url = `mqtts://localhost:${old.port}`
  const certificates = ['--ca', at('ca.pem'), '--cert', at('alice.pem'), '--key', at('alice.key')]
  t.match(
    (await runArtemis(['import', url, '--data', 'copied', ...certificates], folder)).stderr,
    /^Copied 1 retained message/
  )
  for (const [args, message] of [
    [[url, '--data', 'copied'], /certificate/],
    [['mqtt://127.0.0.1:1', '--data', 'copied'], /Cannot connect to/],
    [['nonsense', '--data', 'copied'], /Invalid broker address/],
    [[url, '--ca', 'nowhere', '--data', 'copied'], /Cannot read nowhere/],
    [[url, '--config', 'yaml/artemis.yaml'], /Persistence is off/]
  ] as const) {
    const { code, stderr } = await runArtemis(['import', ...args], folder)
    t.equal(code, 1, args.join(' '))
    t.match(stderr, message)
  }
})
