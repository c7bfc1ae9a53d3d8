// The client and the books of the durability bench: what they hold against a broker must be the broker's doing.

import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import mqttPacket, { type Packet } from 'mqtt-packet'
import t, { type Test } from 'tap'
import { Ledger } from '../../bench/durability/ledger.js'
import { ResumingClient, type ClientOptions } from '../../bench/durability/resuming-client.js'
import { waitUntil } from '../support/wait-until.js'

/** A broker's end of one connection at a time, which says what the test tells it to. */
async function script(
  t: Test,
  version: 4 | 5
): Promise<{
  port: number
  heard: string[]
  accept: (sessionPresent: boolean, ...more: Packet[]) => void
  say: (packet: Packet) => void
  cut: () => void
}> {
  const heard: string[] = []
  let socket: Socket | undefined
  let greeting: Packet[] = []
  const say = (...packets: Packet[]): void => {
    socket?.write(Buffer.concat(packets.map(packet => mqttPacket.generate(packet, { protocolVersion: version }))))
  }
  const server = createServer(connection => {
    socket = connection
    const parser = mqttPacket.parser({ protocolVersion: version })
    parser.on('packet', (packet: Packet) => {
      if (packet.cmd === 'connect') say(...greeting)
      else
        heard.push(
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
    heard,
    accept(sessionPresent, ...more) {
      greeting = [
        {
          cmd: 'connack',
          sessionPresent,
          ...(version === 5 ? { reasonCode: 0, properties: { receiveMaximum: 7 } } : { returnCode: 0 })
        },
        ...more
      ]
    },
    say,
    cut: () => {
      socket?.resetAndDestroy()
    }
  }
}

function made(options: Partial<ClientOptions>): {
  client: ResumingClient
  got: string[]
  acknowledged: string[]
  completed: string[]
} {
  const got: string[] = []
  const acknowledged: string[] = []
  const completed: string[] = []
  const client = new ResumingClient({
    clientId: 'resuming',
    version: 4,
    onMessage: ({ payload }) => {
      got.push(payload.toString())
    },
    onAcknowledged: ({ payload }) => {
      acknowledged.push(payload)
    },
    onCompleted: ({ payload }) => {
      completed.push(payload)
    },
    ...options
  })
  return { client, got, acknowledged, completed }
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
    const broker = await script(t, version)
    const { client, acknowledged, completed } = made({ version })
    broker.accept(false)
    await client.connect(broker.port)
    t.equal(client.receiveMaximum, version === 5 ? 7 : 65_535)
    client.publish({ topic: 't', payload: 'a', qos: 2 })
    client.publish({ topic: 't', payload: 'b', qos: 1 })
    client.publish({ topic: 't', payload: 'c', qos: 2 })
    client.publish({ topic: 't', payload: 'd', qos: 1 })
    await waitUntil('all came', () => broker.heard.length === 4)
    broker.say({ cmd: 'pubrec', messageId: 1 })
    broker.say({ cmd: 'puback', messageId: 2 })
    await waitUntil('it releases', () => broker.heard.includes('pubrel 1'))
    broker.cut()
    await client.closed
    t.same([acknowledged, completed], [['a', 'b'], ['b']])
    broker.heard.length = 0
    broker.accept(true)
    await client.connect(broker.port)
    await waitUntil('it goes on', () => broker.heard.length === 3)
    t.same(broker.heard, ['pubrel 1', 'publish 3 c dup', 'publish 4 d dup'])
    broker.say({ cmd: 'pubcomp', messageId: 1 })
    broker.say({ cmd: 'pubrec', messageId: 3 })
    broker.say({ cmd: 'pubcomp', messageId: 3 })
    broker.say({ cmd: 'puback', messageId: 4 })
    await waitUntil('all is through', () => client.inFlight === 0)
    t.same(
      [acknowledged, completed],
      [
        ['a', 'b', 'c', 'd'],
        ['b', 'a', 'c', 'd']
      ]
    )
    t.same(client.faults, { sessionsLost: 0, withoutDup: 0, idsTaken: 0, refused: 0 })
    await client.cut()
  })

  t.test(`a subscriber resumes, level ${version}`, async t => {
    const broker = await script(t, version)
    const { client, got } = made({ version })
    broker.accept(false, publish(9, 'first'))
    await client.connect(broker.port)
    await waitUntil('what came with the CONNACK is answered', () => broker.heard.includes('pubrec 9'))
    broker.cut()
    await client.closed
    broker.accept(true, publish(9, 'first', true), { cmd: 'pubrel', messageId: 9 }, publish(9, 'second'))
    await client.connect(broker.port)
    await waitUntil('all is answered', () => broker.heard.length === 4)
    t.same(broker.heard, ['pubrec 9', 'pubrec 9', 'pubcomp 9', 'pubrec 9'])
    t.same(got, ['first', 'second'])
    broker.say(publish(9, 'second'))
    broker.say(publish(9, 'third', true))
    await waitUntil('all is answered', () => broker.heard.length === 6)
    broker.accept(false)
    broker.cut()
    await client.closed
    await client.connect(broker.port)
    t.same(client.faults, { sessionsLost: 1, withoutDup: 1, idsTaken: 1, refused: 0 })
    t.same(got, ['first', 'second'])
    await client.cut()
  })
}

t.test('the books', t => {
  const ledger = new Ledger(
    [
      { name: 'p', qos: 1, topics: ['p'] },
      { name: 'q', qos: 2, topics: ['q/0', 'q/1'] }
    ],
    [{ name: 's', qos: 2 }]
  )
  const sent = Array.from({ length: 5 }, () => ledger.next(1))
  t.same(
    sent.map(({ topic }) => topic),
    ['q/0', 'q/1', 'q/0', 'q/1', 'q/0']
  )
  for (const message of sent.slice(0, 4)) ledger.acknowledge(message)
  for (const [number, qos] of [
    [2, 2],
    [1, 2],
    [0, 2],
    [2, 1]
  ] as const)
    ledger.receive(0, sent[number].topic, sent[number].payload, qos)
  const { payload } = ledger.next(0)
  ledger.acknowledge({ payload })
  ledger.receive(0, 'p', payload, 1)
  t.notOk(ledger.isComplete())
  ledger.receive(0, 'p', payload, 1)
  t.same(ledger.publisherFigures(), { published: 6, acknowledged: { 1: 1, 2: 4 }, unacknowledged: 1 })
  t.same(ledger.subscriberFigures(), [
    { name: 's', qos: 2, due: 5, missing: { 1: 0, 2: 1 }, twice: 1, disordered: 1, wrongQos: 1, again: 1 }
  ])
  t.end()
})
