// The exact join in difficult cases: late taps, dropped entries, reused ports, connections that are not read.

import t from 'tap'
import { publish, connect, CONNACK, PINGREQ, subscribe } from '../decode/craft-mqtt.js'
import { SYN } from '../decode/craft.js'
import { established, Link, sizes, tapped, TestConnection, TestJoin, TestTap } from './wire.js'

const HELLO = publish('a', 'hello')
const HANDSHAKE = ['syn in none', 'syn out none', 'empty in none']
const BOUND_HANDSHAKE = ['syn in exact', 'syn out exact', 'empty in exact']

t.test('a connection accepted before and after its SYN is captured', async t => {
  const before = tapped()
  established(before)
  const ahead = tapped()
  const link = new Link()
  const connection = new TestConnection(1)
  ahead.report(connection.open())
  ahead.capture(...link.handshake())
  t.same(ahead.take(), BOUND_HANDSHAKE)
  ahead.capture(link.next('in', connect()))
  t.same(ahead.take(), [], 'waits for the broker')
  ahead.report(...connection.pass('in', connect()))
  t.same(ahead.take(), ['frame in exact 10 of 1'])

  const behind = tapped()
  const other = new Link()
  behind.capture(...other.handshake(), other.next('in', connect()), other.next('out', CONNACK))
  t.same(behind.take(), HANDSHAKE, 'frames without data do not wait')
  const late = new TestConnection(1)
  behind.report(late.open(), ...late.pass('in', connect()), ...late.pass('out', CONNACK))
  t.same(behind.take(), ['frame in exact 10 of 1', 'frame out exact 20 of 1'])
})

t.test('the identity reaches all records of a connection, including earlier ones', async t => {
  const test = tapped()
  const link = new Link()
  const connection = new TestConnection(7)
  test.capture(...link.handshake())
  const [syn] = test.records
  t.match(syn.peer, { client: { address: '10.0.0.2', port: 40_000 }, connection: null, clientId: null })
  test.report(connection.open(), connection.identity('sensor', 'alice'))
  t.match(syn.peer, { connection: 7, clientId: 'sensor', username: 'alice' })
  test.capture(link.next('in', HELLO))
  test.report(...connection.pass('in', HELLO))
  t.equal(test.records[3].peer, syn.peer, 'one object for all records of a connection')
})

t.test('without a tap the packets are the records', async t => {
  const test = new TestJoin()
  const connection = new TestConnection(1)
  test.clock.time = 1_700_000_000_123.456
  test.report(
    connection.open(),
    connection.identity('sensor', 'alice'),
    ...new TestConnection(1, 40_000, test.clock).pass('in', HELLO)
  )
  const [record] = test.records
  t.match(record, {
    frame: null,
    seconds: 1_700_000_000,
    nanoseconds: 123_456_000,
    join: 'none',
    direction: 'in',
    packets: 1,
    own: false,
    peer: { connection: 1, clientId: 'sensor', username: 'alice' },
    features: {
      src_ip: '10.0.0.2',
      dst_ip: '10.0.0.1',
      tcp_src_port: 40_000,
      tcp_dst_port: 1883,
      packet_length: null,
      tcp_delta: null,
      mqtt_header: 0x30,
      mqtt_topic_len: 1,
      mqtt_qos_lvl: 0,
      mqtt_msg: Uint8Array.from(Buffer.from('hello'))
    }
  })
  test.records.length = 0
  test.report(...connection.pass('out', publish('$SYS/broker/artemis/alerts', '{}')))
  t.match(test.records[0], { own: true, direction: 'out', features: { src_ip: '10.0.0.1', tcp_dst_port: 40_000 } })
})

t.test('traffic that the tap cannot decode is scored by its packets alone', async t => {
  for (const transport of ['tls', 'websocket', 'stream'] as const) {
    const test = tapped()
    const link = new Link()
    const connection = new TestConnection(1)
    test.report(connection.open(transport), connection.unplaced(), ...connection.pass('in', HELLO))
    t.same(test.take(), ['packet in none 30 of 1'])
    test.capture(...link.handshake(), link.next('in', Buffer.alloc(99, 23)), link.next('out', Buffer.alloc(99, 23)))
    t.notOk(
      test.take().some(record => record.startsWith('frame')),
      'no additional records for the frames'
    )
    t.equal(test.join.held, 0, 'no frames held')
    t.ok(test.join.counters.framesFallback >= 2)
  }
})

t.test('a short connection in fallback whose frames arrive after its end', async t => {
  const test = tapped()
  const link = new Link()
  const connection = new TestConnection(1)
  test.report(connection.open('tls'), connection.unplaced(), ...connection.pass('in', HELLO), connection.close())
  test.pass(500)
  test.capture(...link.handshake(), link.next('in', Buffer.alloc(99, 23)))
  t.equal(test.join.held, 0)
  t.notOk(test.take().some(record => record.startsWith('frame')))
})

t.test('a connection older than the tap is scored by its packets and delays no other', async t => {
  const test = new TestJoin()
  const link = new Link()
  const connection = new TestConnection(1)
  test.report(connection.open(), ...connection.pass('in', connect()))
  t.same(test.take(), ['packet in none 10 of 1'])
  test.join.tapUp()
  const { link: fresh, connection: newer } = established(test, 2, 40_001)
  link.sent.in = 500
  test.capture(link.next('in', HELLO), fresh.next('in', HELLO))
  test.report(...connection.pass('in', HELLO), ...newer.pass('in', HELLO))
  t.same(test.take(), ['packet in none 30 of 1', 'frame in exact 30 of 1'])
  t.equal(test.join.counters.framesFallback, 1)
})

t.test('the tap disconnects and reconnects', async t => {
  const test = tapped()
  const { link, connection } = established(test)
  test.capture(link.next('in', HELLO))
  test.report(...connection.pass('in', HELLO.subarray(0, 3)))
  test.join.tapDown()
  t.same(test.take(), ['frame in none'], 'held frames are released')
  test.report(...connection.pass('in', HELLO.subarray(3)), ...connection.pass('out', CONNACK))
  t.same(test.take(), ['packet in none 30 of 1', 'packet out none 20 of 1'])
  test.tap = new TestTap()
  test.join.tapUp()
  test.capture(link.next('in', HELLO))
  test.report(...connection.pass('in', HELLO))
  t.same(test.take(), ['packet in none 30 of 1'], 'the tap sees it mid-stream')
  t.equal(test.join.held, 0)
  const { link: fresh, connection: newer } = established(test, 2, 40_001)
  test.capture(fresh.next('in', HELLO))
  test.report(...newer.pass('in', HELLO))
  t.same(test.take(), ['frame in exact 30 of 1'])
})

t.test('packets that wait for frames are not lost when the tap disconnects, even of closed connections', async t => {
  const test = tapped()
  const { connection } = established(test)
  const { connection: other } = established(test, 2, 40_001)
  test.report(...connection.pass('in', HELLO), connection.close(), ...other.pass('out', CONNACK))
  t.same(test.take(), [])
  test.join.tapDown()
  t.same(test.take().sort(), ['packet in none 30 of 1', 'packet out none 20 of 1'])
  t.equal(test.join.counters.packetsAlone, 2)
})

t.test('a closed connection: frames with known packets are joined, frames that were never read are not', async t => {
  const test = tapped()
  const { link, connection } = established(test)
  test.report(...connection.pass('in', HELLO), connection.close())
  test.capture(link.next('in', HELLO), link.next('in', publish('a', 'never read')), link.fin('in'))
  t.same(test.take(), ['frame in exact 30 of 1', 'frame in none', 'empty in exact'])
  t.match(test.join.counters, { framesJoined: 1, framesUnjoined: 0, framesAfterClose: 1 })
  t.equal(test.join.held, 0)
})

t.test('a frame that the broker does not read delays others only up to the limit', async t => {
  const test = tapped()
  const { link: stuck, connection: stalled } = established(test)
  const { link, connection } = established(test, 2, 40_001)
  test.capture(stuck.next('in', HELLO), link.next('in', HELLO))
  test.report(...connection.pass('in', HELLO))
  test.pass(1_000)
  t.same(test.take(), [], 'order is kept')
  test.pass(1)
  t.same(test.take(), ['frame in none', 'frame in exact 30 of 1'])
  test.capture(stuck.next('in', PINGREQ), link.next('in', HELLO))
  test.report(...connection.pass('in', HELLO))
  t.same(test.take(), ['frame in none', 'frame in exact 30 of 1'], 'afterwards it delays no other')
  test.report(...stalled.pass('in', HELLO), ...stalled.pass('in', PINGREQ))
  test.capture(stuck.next('in', CONNACK))
  t.same(test.take(), [], 'it waits again once the broker has caught up')
  test.report(...stalled.pass('in', CONNACK))
  t.same(
    test.take(),
    ['packet in none 30 of 1', 'packet in none c0 of 1', 'frame in exact 20 of 1'],
    'packets that arrive after their frames become records'
  )
  t.equal(test.join.counters.packetsLate, 2)
})

t.test('an unknown flow is waited for once', async t => {
  const test = tapped()
  const { link, connection } = established(test)
  const foreign = new Link(45_000)
  test.capture(...foreign.handshake(), foreign.next('in', HELLO))
  test.take()
  test.pass(1_001)
  t.same(test.take(), ['frame in none'])
  for (let i = 0; i < 5; i++) {
    test.capture(foreign.next('in', HELLO), foreign.next('out', HELLO), link.next('in', HELLO))
    test.report(...connection.pass('in', HELLO))
    t.same(test.take(), ['frame in none', 'frame out none', 'frame in exact 30 of 1'])
  }
  const late = new TestConnection(2, 45_000)
  test.report(
    late.open(),
    ...late.pass('in', Buffer.concat(Array(6).fill(HELLO))),
    ...late.pass('out', Buffer.concat(Array(5).fill(HELLO)))
  )
  test.capture(foreign.next('in', PINGREQ))
  t.same(test.take(), [], 'if it is accepted after all, its frames wait again')
  test.report(...late.pass('in', PINGREQ))
  t.same(test.take(), [...Array<string>(6).fill('packet in none 30 of 1'), 'frame in exact c0 of 1'])
})

t.test('a reused port while the tap lags behind', async t => {
  const test = tapped()
  const [first, second] = [new Link(40_000, { in: 1_000, out: 2_000 }), new Link(40_000, { in: 700_000, out: 800_000 })]
  const [one, two] = [new TestConnection(1), new TestConnection(2)]
  test.report(one.open(), one.identity('one'), ...one.pass('in', HELLO), one.close())
  test.report(two.open(), two.identity('two'), ...two.pass('in', subscribe(['a'])))
  test.capture(
    ...first.handshake(),
    first.next('in', HELLO),
    first.fin('in'),
    ...second.handshake(),
    second.next('in', subscribe(['a']))
  )
  const frames = test.records.filter(({ features }) => features.tcp_len !== 0)
  t.same(
    frames.map(({ peer, features, join }) => [peer.connection, peer.clientId, features.mqtt_header, join]),
    [
      [1, 'one', 0x30, 'exact'],
      [2, 'two', 0x82, 'exact']
    ]
  )
})

t.test('a reused port before the broker reports a connection', async t => {
  const test = tapped()
  const [first, second] = [new Link(40_000, { in: 1_000, out: 2_000 }), new Link(40_000, { in: 700_000, out: 800_000 })]
  const [one, two] = [new TestConnection(1), new TestConnection(2)]
  test.capture(
    ...first.handshake(),
    first.next('in', HELLO),
    first.fin('in'),
    ...second.handshake(),
    second.next('in', subscribe(['a']))
  )
  test.report(one.open(), ...one.pass('in', HELLO), one.close(), two.open(), ...two.pass('in', subscribe(['a'])))
  const frames = test.records.filter(({ features }) => features.tcp_len !== 0)
  t.same(
    frames.map(({ peer, features, join }) => [peer.connection, features.mqtt_header, join]),
    [
      [1, 0x30, 'exact'],
      [2, 0x82, 'exact']
    ]
  )
})

t.test('an unanswered SYN is not matched to the connection of the next SYN', async t => {
  for (const brokerFirst of [true, false]) {
    const test = tapped()
    const [failed, link] = [
      new Link(40_000, { in: 1_000, out: 2_000 }),
      new Link(40_000, { in: 700_000, out: 800_000 })
    ]
    const connection = new TestConnection(1)
    if (brokerFirst) test.report(connection.open())
    test.capture(failed.segment('in', 0, undefined, SYN), ...link.handshake(), link.next('in', HELLO))
    if (!brokerFirst) test.report(connection.open())
    test.report(...connection.pass('in', HELLO))
    t.equal(test.take().at(-1), 'frame in exact 30 of 1')
  }
})

t.test('a connection whose SYN was not captured is scored by its packets', async t => {
  const test = tapped()
  const link = new Link()
  const connection = new TestConnection(1, 40_000, test.clock)
  test.report(connection.open(), ...connection.pass('in', connect()))
  t.same(test.take(), [], 'its SYN may still arrive')
  test.clock.advance(600)
  test.report(...connection.pass('out', CONNACK))
  test.pass(401)
  t.same(test.take(), ['packet in none 10 of 1', 'packet out none 20 of 1'], 'in order of arrival')
  test.capture(link.next('in', HELLO))
  test.report(...connection.pass('in', HELLO))
  t.same(test.take(), ['packet in none 30 of 1'])
})

t.test('a connection whose frames stop is scored by its packets', async t => {
  const test = tapped()
  const { connection } = established(test)
  test.report(...connection.pass('in', HELLO))
  test.pass(5_000)
  t.same(test.take(), [])
  test.pass(1)
  t.same(test.take(), [], 'checked at intervals')
  test.pass(250)
  t.same(test.take(), ['packet in none 30 of 1'])
  test.report(...connection.pass('in', HELLO))
  t.same(test.take(), ['packet in none 30 of 1'])
})

t.test('a closed connection is removed, with or without its frames', async t => {
  const test = tapped()
  const { link, connection } = established(test)
  const { connection: other } = established(test, 2, 40_001)
  test.report(...connection.pass('in', HELLO), connection.close(), ...other.pass('in', HELLO), other.close())
  test.capture(link.next('in', HELLO))
  t.same(test.take(), ['frame in exact 30 of 1'])
  test.pass(5_500)
  t.same(test.take(), ['packet in none 30 of 1'], 'packets without a frame become records')
  t.equal(sizes(test.join), '0 0 0')
  for (const transport of ['tcp', 'tls'] as const) {
    const unseen = new TestConnection(3, 40_002)
    test.report(unseen.open(transport), unseen.close())
    test.pass(1_500)
    test.pass(1_500)
    t.equal(sizes(test.join), '0 0 0', transport)
  }
  test.join.tapDown()
  const untapped = new TestConnection(4, 40_003)
  test.report(untapped.open())
  t.equal(sizes(test.join), '1 1 0')
  test.report(untapped.close())
  t.equal(sizes(test.join), '0 0 0')
})

t.test("bytes that contradict the broker's entries end the join of the connection", async t => {
  const test = tapped()
  const { link, connection } = established(test)
  test.report(...connection.pass('in', HELLO), ...connection.pass('in', PINGREQ))
  const other = publish('a', 'hello', { qos: 1 }).subarray(0, HELLO.length)
  test.capture(link.next('in', other))
  t.same(test.take(), ['packet in none 30 of 1', 'packet in none c0 of 1'], 'in order of arrival')
  t.equal(test.join.counters.mismatches, 1)
  test.capture(link.next('in', HELLO))
  test.report(...connection.pass('in', HELLO))
  t.same(test.take(), ['packet in none 30 of 1'])
})

t.test("only the detection's own messages are marked as own", async t => {
  const test = tapped()
  const { link, connection } = established(test)
  const alert = publish('$SYS/broker/artemis/alerts', '{}')
  const cases: [Buffer[], boolean][] = [
    [[alert], true],
    [[alert, alert], true],
    [[alert, HELLO], false],
    [[publish('$SYS/broker/artemisx', '{}')], false],
    [[publish('$SYS/broker/uptime', '1')], false]
  ]
  for (const [packets, own] of cases) {
    const bytes = Buffer.concat(packets)
    test.capture(link.next('out', bytes))
    test.report(...connection.pass('out', bytes))
    t.equal(test.records.pop()?.own, own)
  }
  test.capture(link.next('in', alert))
  test.report(...connection.pass('in', alert))
  t.equal(test.records.pop()?.own, false, 'messages from clients are never own')
})

t.test('entries of unannounced connections are counted', async t => {
  const test = tapped()
  const connection = new TestConnection(9)
  test.report(...connection.pass('in', HELLO), connection.identity('x'), connection.close())
  t.same(test.take(), [])
  t.equal(test.join.counters.packetsUnknown, 3)
})
