// The client and the delivery tracker of the durability bench: reported errors must be the broker's.

import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import mqttPacket, { type Packet } from 'mqtt-packet'
import t, { type Test } from 'tap'
import { DeliveryTracker } from '../../bench/durability/delivery-tracker.js'
import { ResumingClient, type ClientOptions } from '../../bench/durability/resuming-client.js'
import { waitUntil } from '../support/wait-until.js'

/** A scripted broker for one connection at a time. */
async function startScriptedBroker(
  t: Test,
  version: 4 | 5
): Promise<{
  port: number
  received: string[]
  accept: (sessionPresent: boolean, ...more: Packet[]) => void
  send: (packet: Packet) => void
  destroy: () => void
}> {
  const received: string[] = []
  let socket: Socket | undefined
  let connackPackets: Packet[] = []
  const send = (...packets: Packet[]): void => {
    socket?.write(Buffer.concat(packets.map(packet => mqttPacket.generate(packet, { protocolVersion: version }))))
  }
  const server = createServer(connection => {
    socket = connection
    const parser = mqttPacket.parser({ protocolVersion: version })
    parser.on('packet', (packet: Packet) => {
      if (packet.cmd === 'connect') send(...connackPackets)
      else
        received.push(
          `${packet.cmd} ${packet.messageId}${packet.cmd === 'publish' ? ` ${packet.payload.toString()}${packet.dup ? ' dup' : ''}` : ''}`
        )
    })
    connection
      .on('data', bytes => {
        parser.parse(bytes)
      })
      .on('error', () => {})
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    socket?.destroy()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    received,
    accept(sessionPresent, ...more) {
      connackPackets = [
        {
          cmd: 'connack',
          sessionPresent,
          ...(version === 5 ? { reasonCode: 0, properties: { receiveMaximum: 7 } } : { returnCode: 0 })
        },
        ...more
      ]
    },
    send,
    destroy: () => {
      socket?.resetAndDestroy()
    }
  }
}

function createClient(options: Partial<ClientOptions>): {
  client: ResumingClient
  messages: string[]
  acknowledged: string[]
  completed: string[]
} {
  const messages: string[] = []
  const acknowledged: string[] = []
  const completed: string[] = []
  const client = new ResumingClient({
    clientId: 'resuming',
    version: 4,
    onMessage: ({ payload }) => {
      messages.push(payload.toString())
    },
    onAcknowledged: ({ payload }) => {
      acknowledged.push(payload)
    },
    onCompleted: ({ payload }) => {
      completed.push(payload)
    },
    ...options
  })
  return { client, messages, acknowledged, completed }
}

const publish = (messageId: number, payload: string, dup = false): Packet => ({
  cmd: 'publish',
  topic: 't',
  messageId,
  payload,
  qos: 2,
  dup,
  retain: false
})

for (const version of [4, 5] as const) {
  t.test(`a publisher resumes, level ${version}`, async t => {
    const broker = await startScriptedBroker(t, version)
    const { client, acknowledged, completed } = createClient({ version })
    broker.accept(false)
    await client.connect(broker.port)
    t.equal(client.receiveMaximum, version === 5 ? 7 : 65_535)
    client.publish({ topic: 't', payload: 'a', qos: 2 })
    client.publish({ topic: 't', payload: 'b', qos: 1 })
    client.publish({ topic: 't', payload: 'c', qos: 2 })
    client.publish({ topic: 't', payload: 'd', qos: 1 })
    await waitUntil('all packets arrived', () => broker.received.length === 4)
    broker.send({ cmd: 'pubrec', messageId: 1 })
    broker.send({ cmd: 'puback', messageId: 2 })
    await waitUntil('PUBREL arrived', () => broker.received.includes('pubrel 1'))
    broker.destroy()
    await client.closed
    t.same([acknowledged, completed], [['a', 'b'], ['b']])
    broker.received.length = 0
    broker.accept(true)
    await client.connect(broker.port)
    await waitUntil('the client resumed', () => broker.received.length === 3)
    t.same(broker.received, ['pubrel 1', 'publish 3 c dup', 'publish 4 d dup'])
    broker.send({ cmd: 'pubcomp', messageId: 1 })
    broker.send({ cmd: 'pubrec', messageId: 3 })
    broker.send({ cmd: 'pubcomp', messageId: 3 })
    broker.send({ cmd: 'puback', messageId: 4 })
    await waitUntil('nothing is in flight', () => client.inFlight === 0)
    t.same(
      [acknowledged, completed],
      [
        ['a', 'b', 'c', 'd'],
        ['b', 'a', 'c', 'd']
      ]
    )
    t.same(client.faults, { sessionsLost: 0, withoutDup: 0, idsTaken: 0, refused: 0 })
    await client.destroy()
  })

  t.test(`a subscriber resumes, level ${version}`, async t => {
    const broker = await startScriptedBroker(t, version)
    const { client, messages } = createClient({ version })
    broker.accept(false, publish(9, 'first'))
    await client.connect(broker.port)
    await waitUntil('the message after the CONNACK is acknowledged', () => broker.received.includes('pubrec 9'))
    broker.destroy()
    await client.closed
    broker.accept(true, publish(9, 'first', true), { cmd: 'pubrel', messageId: 9 }, publish(9, 'second'))
    await client.connect(broker.port)
    await waitUntil('all packets are acknowledged', () => broker.received.length === 4)
    t.same(broker.received, ['pubrec 9', 'pubrec 9', 'pubcomp 9', 'pubrec 9'])
    t.same(messages, ['first', 'second'])
    broker.send(publish(9, 'second'))
    broker.send(publish(9, 'third', true))
    await waitUntil('all packets are acknowledged', () => broker.received.length === 6)
    broker.accept(false)
    broker.destroy()
    await client.closed
    await client.connect(broker.port)
    t.same(client.faults, { sessionsLost: 1, withoutDup: 1, idsTaken: 1, refused: 0 })
    t.same(messages, ['first', 'second'])
    await client.destroy()
  })
}

t.test('the delivery tracker counts losses, duplicates and reordering', t => {
  const tracker = new DeliveryTracker(
    [
      { name: 'p', qos: 1, topics: ['p'] },
      { name: 'q', qos: 2, topics: ['q/0', 'q/1'] }
    ],
    [{ name: 's', qos: 2 }]
  )
  const sent = Array.from({ length: 5 }, () => tracker.next(1))
  t.same(
    sent.map(({ topic }) => topic),
    ['q/0', 'q/1', 'q/0', 'q/1', 'q/0']
  )
  for (const message of sent.slice(0, 4)) tracker.acknowledge(message)
  for (const [number, qos] of [
    [2, 2],
    [1, 2],
    [0, 2],
    [2, 1]
  ] as const)
    tracker.receive(0, sent[number].topic, sent[number].payload, qos)
  const { payload } = tracker.next(0)
  tracker.acknowledge({ payload })
  tracker.receive(0, 'p', payload, 1)
  t.notOk(tracker.isComplete())
  tracker.receive(0, 'p', payload, 1)
  t.same(tracker.publisherFigures(), { published: 6, acknowledged: { 1: 1, 2: 4 }, unacknowledged: 1 })
  t.same(tracker.subscriberFigures(), [
    { name: 's', qos: 2, due: 5, missing: { 1: 0, 2: 1 }, twice: 1, disordered: 1, wrongQos: 1, again: 1 }
  ])
  t.end()
})
