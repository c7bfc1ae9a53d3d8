// The context: each column has its documented meaning, and the state is bounded.

import t from 'tap'
import { MqttWalker } from '../../src/decode/mqtt.js'
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from '../../src/decode/tcp.js'
import { CONTEXT_COLUMNS } from '../../src/features/context-columns.js'
import { ContextTracker } from '../../src/features/context.js'
import type { RecordContext } from '../../src/features/record-context.js'
import type { Direction, MqttPacket } from '../../src/types.js'
import { connect, packet, publish, subscribe, text } from '../decode/craft-mqtt.js'

const T0 = 1_700_000_000

/** A connection of the tracker. */
class Client {
  readonly #key = {}
  readonly #session = { version: 4 }
  readonly #walkers = {
    in: new MqttWalker({ session: this.#session, topicCapBytes: 256, payloadCapBytes: 1_024 }),
    out: new MqttWalker({ session: this.#session, topicCapBytes: 256, payloadCapBytes: 1_024 })
  }
  readonly #tracker: ContextTracker
  readonly #address: string
  readonly #tapped: boolean

  constructor(tracker: ContextTracker, address = '192.0.2.1', tapped = true) {
    this.#tracker = tracker
    this.#address = address
    this.#tapped = tapped
  }

  at(
    seconds: number,
    direction: Direction,
    bytes: Uint8Array = new Uint8Array(0),
    flags = TCP_ACK
  ): (name: string) => number {
    const packets: MqttPacket[] = []
    this.#walkers[direction].push(bytes, each => packets.push(each))
    const { values } = this.#tracker.push({
      connection: this.#key,
      client: { address: this.#address, port: 1 },
      direction,
      packets,
      seconds: T0 + Math.floor(seconds),
      nanoseconds: Math.round((seconds % 1) * 1e9),
      frame: this.#tapped
        ? { length: bytes.length, flags, sequence: 0, acknowledgement: 0, to: this.#walkers[direction].offset }
        : null
    })
    return name => values[CONTEXT_COLUMNS.findIndex(column => column.name === name)]
  }
}

/** Share of a steady count that a new window has reached. */
const FRESH = 1 - Math.exp(-0.25)

const near = (value: number, wanted: number): boolean => Math.abs(value - wanted) < 1e-6 * Math.max(1, Math.abs(wanted))

t.test('names are unique, and each has a description', async t => {
  t.equal(new Set(CONTEXT_COLUMNS.map(({ name }) => name)).size, CONTEXT_COLUMNS.length)
  t.ok(CONTEXT_COLUMNS.every(({ about }) => about.length > 10))
})

t.test('counts decay with packet time', async t => {
  const client = new Client(new ContextTracker())
  const ping = packet(0xc0)
  client.at(0, 'in', ping)
  t.ok(near(client.at(0, 'in', ping)('addr_frames_10s'), 2 / FRESH))
  t.ok(near(client.at(10, 'in', ping)('addr_frames_10s'), (1 + 2 / Math.E) / (1 - 1 / Math.E)))
  t.ok(
    near(client.at(5, 'in', ping)('addr_frames_10s'), (2 + 2 / Math.E) / (1 - Math.exp(-0.5))),
    'nothing decays if the clock steps back'
  )
  t.ok(client.at(1_000, 'in', ping)('addr_frames_10s') < 1.001)
})

t.test('a steady rate gives a steady count, however short the observation', async t => {
  const client = new Client(new ContextTracker())
  client.at(0, 'in', connect())
  const counts: number[] = []
  for (let second = 1; second <= 400; second++) {
    const read = client.at(second, 'in', publish('t', 'x'))
    if (second === 20 || second === 60 || second === 400)
      counts.push(read('conn_packets_60s'), read('addr_packets_60s'))
  }
  t.ok(Math.max(...counts) / Math.min(...counts) < 1.1, counts.join())
})

t.test('received messages and responses do not count for a client', async t => {
  const client = new Client(new ContextTracker())
  client.at(0, 'in', connect())
  for (let i = 0; i < 100; i++) {
    client.at(0, 'out', publish('t', 'x', { qos: 1 }))
    client.at(0, 'in', packet(0x40, Buffer.from([0, 9])))
    client.at(0, 'in')
  }
  const read = client.at(0, 'in', publish('t', 'x'))
  for (const name of ['conn_frames_10s', 'addr_frames_1s', 'conn_packets_60s', 'addr_packets_60s'])
    t.ok(near(read(name), 2 / FRESH), name)
})

t.test('all packets of a frame count, with all their payloads', async t => {
  const client = new Client(new ContextTracker())
  client.at(0, 'in', connect())
  const read = client.at(
    1,
    'in',
    Buffer.concat([
      ...['a', 'b', 'c'].map(topic => publish(topic, 'x')),
      publish('d', Buffer.from([0, 200, 3, 77]), { qos: 1 })
    ])
  )
  t.equal(read('frame_publish'), 4)
  t.ok(Math.round(read('conn_topics')) === 4)
})

t.test('incomplete handshakes and open connections', async t => {
  const tracker = new ContextTracker()
  const last = Array.from({ length: 5 }, (_, i) => new Client(tracker).at(i / 1_000, 'in', undefined, TCP_SYN)).at(-1)
  t.ok(near(last?.('addr_open') ?? 0, 5))
  t.ok((last?.('addr_half_open_60s') ?? 0) > 4.9 / FRESH)
  const whole = new Client(tracker, '192.0.2.2')
  whole.at(0, 'in', undefined, TCP_SYN)
  whole.at(0, 'out', undefined, TCP_SYN | TCP_ACK)
  t.equal(whole.at(0, 'in')('addr_half_open_60s'), 0)
  t.equal(whole.at(0, 'out', undefined, TCP_FIN | TCP_ACK)('addr_closed_by_broker_1s'), 1 / FRESH)
  t.equal(whole.at(0, 'in', undefined, TCP_RST)('addr_open'), 0, 'counted as closed only once')
})

t.test('an idle client, and one that sends a packet in fragments', async t => {
  const client = new Client(new ContextTracker())
  client.at(0, 'in', undefined, TCP_SYN)
  t.equal(client.at(7, 'in')('conn_no_connect'), 7)
  t.equal(client.at(8, 'in', connect().subarray(0, 5))('conn_waiting_bytes'), 5)
  const read = client.at(9, 'in', connect().subarray(5))
  t.equal(read('conn_waiting_bytes'), 0)
  t.equal(read('conn_no_connect'), 0)
  t.equal(read('conn_keep_alive'), 60)
  t.equal(client.at(39, 'out')('conn_idle'), 0.5)
})

t.test('refusals, wide filters, and QoS 2 without PUBREL', async t => {
  const client = new Client(new ContextTracker())
  client.at(0, 'in', connect())
  t.equal(client.at(0, 'out', packet(0x20, Buffer.from([0, 5])))('addr_refusals_60s'), 1 / FRESH)
  t.equal(
    client.at(0, 'in', subscribe(['#', 'a/+/b', '$SYS/#', 'plain']))('conn_wide_filters'),
    5,
    '# and $SYS/# count twice'
  )
  client.at(0, 'in', publish('a', 'x', { qos: 2 }))
  t.equal(client.at(0, 'in', publish('a', 'x', { qos: 2 }))('conn_releases_due'), 2)
  t.equal(client.at(0, 'in', packet(0x62, Buffer.from([0, 9])))('conn_releases_due'), 1)
  t.equal(client.at(0, 'out', publish('a', 'x', { qos: 1 }))('conn_acks_due'), 1)
})

t.test('malformed and unexpected packets', async t => {
  const client = new Client(new ContextTracker())
  client.at(0, 'in', undefined, TCP_SYN)
  t.equal(client.at(0, 'in', publish('early', 'x'))('conn_malformed'), 1, 'before CONNECT')
  client.at(0, 'in', connect())
  for (const [bytes, why] of [
    [connect(), 'a second CONNECT'],
    [packet(0x20, Buffer.from([0, 0])), 'a CONNACK from a client'],
    [packet(0x36, Buffer.concat([text('a'), Buffer.from([0, 1])])), 'QoS 3'],
    [packet(0x80, Buffer.from([0, 1])), 'SUBSCRIBE with wrong flags'],
    [packet(0x30, Buffer.from([0, 9, 0x61])), 'a topic longer than its packet'],
    [publish('a/#', 'x'), 'a wildcard in a topic'],
    [packet(0x10, text('HTTP')), 'another protocol']
  ] as const) {
    const before = client.at(0, 'in')('conn_malformed')
    t.equal(client.at(0, 'in', bytes)('conn_malformed'), before + (why === 'another protocol' ? 2 : 1), why)
  }
})

t.test('columns that need no tap are the same without one', async t => {
  const bytes = [connect(), publish('a/b', '21.5'), subscribe(['#']), publish('a/c', '{"t":1}', { qos: 2 })]
  const [tapped, alone] = [true, false].map(isTapped => {
    const client = new Client(new ContextTracker(), '192.0.2.1', isTapped)
    return bytes.map((each, i) => client.at(i, 'in', each)).at(-1) as (name: string) => number
  })
  for (const { name, wire } of CONTEXT_COLUMNS) if (!wire) t.same(alone(name), tapped(name), name)
})

t.test('memory is bounded, and evictions are counted', async t => {
  const limits = { connections: 20, addresses: 10, clients: 5 }
  const tracker = new ContextTracker(limits)
  const steady = new Client(tracker, '192.0.2.200')
  for (let i = 0; i < 1_000; i++) {
    new Client(tracker, `198.51.100.${i % 250}`).at(i, 'in', connect(4, `client-${i}`), TCP_SYN)
    steady.at(i, 'in', publish('t', '1'))
  }
  const { connectionsForgotten, addressesForgotten, clientsForgotten } = tracker.counters
  t.ok(connectionsForgotten >= 980 && addressesForgotten >= 900 && clientsForgotten >= 990)
  t.ok(steady.at(1_000, 'in')('conn_packets_60s') > 50, 'an active client is kept')
})

t.test('the kept payloads are an even selection of the frame', async t => {
  const tracker = new ContextTracker()
  const packets: MqttPacket[] = []
  new MqttWalker({ session: { version: 4 }, topicCapBytes: 256, payloadCapBytes: 1_024 }).push(
    Buffer.concat(Array.from({ length: 40 }, (_, i) => publish(`t/${i}`, String(i)))),
    each => packets.push(each)
  )
  const { payloads }: RecordContext = tracker.push({
    connection: {},
    client: { address: '192.0.2.1', port: 1 },
    direction: 'in',
    packets,
    seconds: T0,
    nanoseconds: 0,
    frame: null
  })
  t.same(
    payloads?.map(({ payload }) => Buffer.from(payload).toString()),
    ['0', '5', '10', '15', '20', '25', '30', '35']
  )
  t.equal(new Set(payloads?.map(({ topic }) => topic)).size, 8)
  t.equal(new Set(payloads?.map(({ parent }) => parent)).size, 1)
})

t.test('a client announced by a proxy counts for its own address, with its open connection', async t => {
  const tracker = new ContextTracker()
  const record = (address: string, key: object, flags: number) => {
    const { values } = tracker.push({
      connection: key,
      client: { address, port: 1 },
      direction: 'in',
      packets: [],
      seconds: T0,
      nanoseconds: 0,
      frame: { length: 0, flags, sequence: 0, acknowledgement: 0, to: 0 }
    })
    return (name: string): number => values[CONTEXT_COLUMNS.findIndex(column => column.name === name)]
  }
  const [flood, quiet] = [{}, {}]
  record('198.51.100.1', flood, TCP_SYN)
  record('198.51.100.1', quiet, TCP_SYN)
  for (let i = 0; i < 100; i++) record('192.0.2.66', flood, TCP_ACK)
  const seen = record('192.0.2.7', quiet, TCP_ACK)
  t.equal(seen('addr_open'), 1)
  t.ok(seen('addr_frames_10s') < 3, 'the flood behind the same proxy is not attributed to it')
})
