// A protocol violation closes its connection, and affects nothing else.

import net, { type Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { Broker } from '../../../broker/core/broker.js'
import { PINGREQ, connect as connectPacket, packet, publish, subscribe, text } from '../../decode/craft-mqtt.js'
import { RawClient, TYPE, connectBytes } from '../../support/raw-client.js'
import { waitUntil } from '../../support/wait-until.js'
import { connect, nextEvent, messages } from '../mqtt-client.js'
import { openBroker as open } from '../opened-broker.js'
import { startBroker } from '../running-broker.js'

/** A PUBLISH with a response topic property that is cut off. */
const CUT_OFF = publish('a', 'payload', { properties: Buffer.from([0x08]) })
/** A DISCONNECT with a Session Expiry Interval, for a session without one. */
const LATE_EXPIRY = packet(0xe0, Buffer.from([0, 5, 0x11, 0, 0, 0, 9]))
const FORBIDDEN: readonly [string, Buffer, number][] = [
  ['truncated response topic', CUT_OFF, 0x81],
  ['header flags', packet(0xc1), 0x81],
  ['subscription options', packet(0x82, Buffer.from([0, 7, 0, 0, 1, 0x61, 0x40])), 0x81],
  ['QoS 3', packet(0x82, Buffer.from([0, 7, 0, 0, 1, 0x61, 3])), 0x82],
  ['Session Expiry Interval after 0 in the CONNECT', LATE_EXPIRY, 0x82],
  ['a second CONNECT', connectPacket(5), 0x82],
  ['a SUBACK', packet(0x90, Buffer.from([0, 7, 0, 0])), 0x82],
  ['AUTH', packet(0xf0), 0x82],
  ['PUBACK with packet identifier 0', packet(0x40, Buffer.from([0, 0])), 0x82]
]
/** A DISCONNECT with a reason code, as Aedes writes it. */
const disconnectPacket = (reasonCode: number): Buffer => packet(0xe0, Buffer.from([reasonCode, 0]))

async function openBroker(test: Test): Promise<Broker> {
  return (await open(test)).aedes
}

t.test('an MQTT 5 client receives the reason code', async t => {
  const aedes = await openBroker(t)
  for (const [what, bytes, reasonCode] of FORBIDDEN) {
    const client = await RawClient.connect(aedes, { level: 5 })
    client.send(bytes)
    await client.whenClosed()
    t.same(client.received.at(-1)?.bytes, disconnectPacket(reasonCode), what)
  }
})

t.test('before MQTT 5 the connection is closed without a packet', async t => {
  const aedes = await openBroker(t)
  for (const bytes of [
    publish('a/#', 'x'),
    packet(0xc0, Buffer.from([0])),
    packet(0x40),
    connectPacket(4),
    packet(0xa2, Buffer.from([0, 7]))
  ]) {
    const client = await RawClient.connect(aedes)
    client.send(bytes)
    await client.whenClosed()
    t.same(
      client.received.map(({ type }) => type),
      [TYPE.connack],
      bytes.toString('hex')
    )
  }
})

t.test('in one piece with the CONNECT, in single bytes, and after other packets', async t => {
  const aedes = await openBroker(t)
  const early = new RawClient(aedes, {}, 5)
  early.send(Buffer.concat([connectBytes({ level: 5 }), CUT_OFF]))
  await early.whenClosed()

  const slow = await RawClient.connect(aedes, { level: 5 })
  for (const byte of CUT_OFF) slow.send(Buffer.from([byte]))
  await slow.whenClosed()
  t.same(slow.received.at(-1)?.bytes, disconnectPacket(0x81))

  const reader = await RawClient.connect(aedes, { clientId: 'reader' })
  reader.send(subscribe(['t']))
  await reader.next(TYPE.suback)
  const last = await RawClient.connect(aedes, { level: 5 })
  const NONE = Buffer.alloc(0)
  last.send(
    Buffer.concat([publish('t', 'before', { properties: NONE }), CUT_OFF, publish('t', 'after', { properties: NONE })])
  )
  await last.whenClosed()
  await reader.next(TYPE.publish)
  await reader.settled()
  t.same(
    reader.received.filter(({ type }) => type === TYPE.publish).map(({ payload }) => payload),
    ['before']
  )
})

t.test('a will is published after a protocol violation, but not after a DISCONNECT with packets behind it', async t => {
  const aedes = await openBroker(t)
  const reader = await RawClient.connect(aedes, { clientId: 'reader' })
  reader.send(subscribe(['will/#']))
  await reader.next(TYPE.suback)
  const leave = async (name: string, bytes: Buffer): Promise<void> => {
    const client = await RawClient.connect(aedes, {
      level: 5,
      clientId: name,
      will: { topic: `will/${name}`, payload: 'gone' }
    })
    client.send(bytes)
    await client.whenClosed()
  }
  for (const body of [[], [0], [0, 0]]) await leave('normal', Buffer.concat([packet(0xe0, Buffer.from(body)), PINGREQ]))
  await leave('malformed', CUT_OFF)
  await reader.next(TYPE.publish)
  // An invalid DISCONNECT does not count (MQTT 5, 3.14.2.2.2).
  await leave('expiry', LATE_EXPIRY)
  await reader.next(TYPE.publish, ({ topic }) => topic === 'will/expiry')
  await reader.settled()
  t.same(reader.topics, ['will/malformed', 'will/expiry'])
})

t.test('an unsupported protocol level or name is refused with a return code', async t => {
  const aedes = await openBroker(t)
  const refused = async (bytes: Buffer): Promise<Buffer | undefined> => {
    const client = new RawClient(aedes)
    client.send(bytes)
    await client.whenClosed()
    return client.received[0]?.bytes
  }
  const CONNECT = (name: string, level: number, clientId: string): Buffer =>
    packet(0x10, Buffer.concat([text(name), Buffer.from([level, 2, 0, 9]), text(clientId)]))
  t.same(await refused(CONNECT('MQTT', 6, 'x')), packet(0x20, Buffer.from([0, 1])), '[MQTT-3.1.2-2]')
  t.same(await refused(CONNECT('MQIsdp', 3, '')), packet(0x20, Buffer.from([0, 2])))
  t.equal(await refused(CONNECT('HTTP', 4, 'x')), undefined, '[MQTT-3.1.2-1]')
})

/** Sends data in parts, the first up to the CONNACK; returns all that the broker sends until it disconnects. */
async function responseUntilClose(test: Test, port: number, ...parts: Buffer[]): Promise<Buffer> {
  const socket: Socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  test.teardown(() => socket.destroy())
  const received: Buffer[] = []
  socket.on('error', () => {}).on('data', chunk => received.push(chunk))
  const [first, ...rest] = parts
  socket.write(first)
  await waitUntil('a CONNACK', () => received.length > 0)
  for (const part of rest) socket.write(part)
  if (!socket.closed) await new Promise(resolve => socket.once('close', resolve))
  return Buffer.concat(received)
}

t.test('the program survives all violations, and serves other clients', async t => {
  const broker = await startBroker(t, t.testdir({}))
  const properties = {
    responseTopic: 'answer/here',
    correlationData: Buffer.from([0, 1]),
    contentType: 'text',
    messageExpiryInterval: 60,
    payloadFormatIndicator: true,
    userProperties: { key: ['one', 'two'] }
  }
  const other = await connect(t, broker.url, {
    protocolVersion: 5,
    properties: { sessionExpiryInterval: 60, receiveMaximum: 9, requestProblemInformation: true }
  })
  await other.subscribeAsync('kitchen/+/öl/#', { qos: 2, properties: { subscriptionIdentifier: 268_435_455 } })
  for (const [what, bytes, reasonCode] of FORBIDDEN) {
    const response = await responseUntilClose(t, broker.port, connectPacket(5), bytes)
    t.same(response.subarray(-4), disconnectPacket(reasonCode), what)
  }
  const got = messages(other, 1)
  const [, , received] = await Promise.all([
    nextEvent(other, 'message'),
    other.publishAsync('kitchen/1/öl/2', 'x', { qos: 2, properties })
  ]).then(([message]) => message)
  t.same(await got, ['kitchen/1/öl/2 x'])
  t.match(received.properties, {
    responseTopic: 'answer/here',
    contentType: 'text',
    subscriptionIdentifier: 268_435_455
  })
  await other.unsubscribeAsync('kitchen/+/öl/#')
  await other.endAsync()
  t.match(broker.log(), /"limit":"malformed"/, 'logged')
  t.match(await broker.stop(), { code: 0 })
})
