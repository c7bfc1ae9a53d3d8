// The exact join where life is not smooth: late taps, lost words, reused ports, connections that nobody reads.

import t from 'tap'
import { publish, connect, CONNACK, PINGREQ, subscribe } from '../decode/craft-mqtt.js'
import { SYN } from '../decode/craft.js'
import { established, Link, sizes, tapped, TestConnection, TestJoin, TestTap } from './wire.js'

const HELLO = publish('a', 'hello')
const HANDSHAKE = ['syn in none', 'syn out none', 'empty in none']
const BOUND_HANDSHAKE = ['syn in exact', 'syn out exact', 'empty in exact']

t.test('accepted before its SYN is captured, and after', async t => {
  const before = tapped()
  established(before)
  const ahead = tapped()
  const link = new Link()
  const connection = new TestConnection(1)
  ahead.tell(connection.open())
  ahead.see(...link.handshake())
  t.same(ahead.take(), BOUND_HANDSHAKE)
  ahead.see(link.next('in', connect()))
  t.same(ahead.take(), [], 'waits for the broker')
  ahead.tell(...connection.pass('in', connect()))
  t.same(ahead.take(), ['frame in exact 10 of 1'])

  const behind = tapped()
  const other = new Link()
  behind.see(...other.handshake(), other.next('in', connect()), other.next('out', CONNACK))
  t.same(behind.take(), HANDSHAKE, 'what can bear no packet does not wait')
  const late = new TestConnection(1)
  behind.tell(late.open(), ...late.pass('in', connect()), ...late.pass('out', CONNACK))
  t.same(behind.take(), ['frame in exact 10 of 1', 'frame out exact 20 of 1'])
})

t.test('who a record is about is known as soon as the broker says it, for records already out as well', async t => {
  const test = tapped()
  const link = new Link()
  const connection = new TestConnection(7)
  test.see(...link.handshake())
  const [syn] = test.records
  t.match(syn.peer, { client: { address: '10.0.0.2', port: 40_000 }, connection: null, clientId: null })
  test.tell(connection.open(), connection.identity('sensor', 'alice'))
  t.match(syn.peer, { connection: 7, clientId: 'sensor', username: 'alice' })
  test.see(link.next('in', HELLO))
  test.tell(...connection.pass('in', HELLO))
  t.equal(test.records[3].peer, syn.peer, 'one object for all records of a connection')
})

t.test('without a tap the packets are the records', async t => {
  const test = new TestJoin()
  const connection = new TestConnection(1)
  test.clock.time = 1_700_000_000_123.456
  test.tell(
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
  test.tell(...connection.pass('out', publish('$SYS/broker/artemis/alerts', '{}')))
  t.match(test.records[0], { own: true, direction: 'out', features: { src_ip: '10.0.0.1', tcp_dst_port: 40_000 } })
})

t.test('what the tap cannot see into is judged by its packets alone', async t => {
  for (const transport of ['tls', 'websocket', 'stream'] as const) {
    const test = tapped()
    const link = new Link()
    const connection = new TestConnection(1)
    test.tell(connection.open(transport), connection.unplaced(), ...connection.pass('in', HELLO))
    t.same(test.take(), ['packet in none 30 of 1'])
    test.see(...link.handshake(), link.next('in', Buffer.alloc(99, 23)), link.next('out', Buffer.alloc(99, 23)))
    t.notOk(
      test.take().some(record => record.startsWith('frame')),
      'the frames are not records as well'
    )
    t.equal(test.join.held, 0, 'and hold nobody up')
    t.ok(test.join.counters.framesFallback >= 2)
  }
})

t.test('a short one of these whose frames come after its end', async t => {
  const test = tapped()
  const link = new Link()
  const connection = new TestConnection(1)
  test.tell(connection.open('tls'), connection.unplaced(), ...connection.pass('in', HELLO), connection.close())
  test.pass(500)
  test.see(...link.handshake(), link.next('in', Buffer.alloc(99, 23)))
  t.equal(test.join.held, 0)
  t.notOk(test.take().some(record => record.startsWith('frame')))
})

t.test('a connection older than the tap is judged by its packets, and holds nobody up', async t => {
  const test = new TestJoin()
  const link = new Link()
  const connection = new TestConnection(1)
  test.tell(connection.open(), ...connection.pass('in', connect()))
  t.same(test.take(), ['packet in none 10 of 1'])
  test.join.tapUp()
  const { link: fresh, connection: newer } = established(test, 2, 40_001)
  link.sent.in = 500
  test.see(link.next('in', HELLO), fresh.next('in', HELLO))
  test.tell(...connection.pass('in', HELLO), ...newer.pass('in', HELLO))
  t.same(test.take(), ['packet in none 30 of 1', 'frame in exact 30 of 1'])
  t.equal(test.join.counters.framesFallback, 1)
})

t.test('the tap goes and comes again', async t => {
  const test = tapped()
  const { link, connection } = established(test)
  test.see(link.next('in', HELLO))
  test.tell(...connection.pass('in', HELLO.subarray(0, 3)))
  test.join.tapDown()
  t.same(test.take(), ['frame in none'], 'what waited is let go')
  test.tell(...connection.pass('in', HELLO.subarray(3)), ...connection.pass('out', CONNACK))
  t.same(test.take(), ['packet in none 30 of 1', 'packet out none 20 of 1'])
  test.tap = new TestTap()
  test.join.tapUp()
  test.see(link.next('in', HELLO))
  test.tell(...connection.pass('in', HELLO))
  t.same(test.take(), ['packet in none 30 of 1'], 'the tap meets it in mid-stream')
  t.equal(test.join.held, 0)
  const { link: fresh, connection: newer } = established(test, 2, 40_001)
  test.see(fresh.next('in', HELLO))
  test.tell(...newer.pass('in', HELLO))
  t.same(test.take(), ['frame in exact 30 of 1'])
})

t.test('packets that wait for frames when the tap goes are not lost, of closed connections neither', async t => {
  const test = tapped()
  const { connection } = established(test)
  const { connection: other } = established(test, 2, 40_001)
  test.tell(...connection.pass('in', HELLO), connection.close(), ...other.pass('out', CONNACK))
  t.same(test.take(), [])
  test.join.tapDown()
  t.same(test.take().sort(), ['packet in none 30 of 1', 'packet out none 20 of 1'])
  t.equal(test.join.counters.packetsAlone, 2)
})

t.test('a closed connection: what the broker told is joined, what it never read is not', async t => {
  const test = tapped()
  const { link, connection } = established(test)
  test.tell(...connection.pass('in', HELLO), connection.close())
  test.see(link.next('in', HELLO), link.next('in', publish('a', 'never read')), link.fin('in'))
  t.same(test.take(), ['frame in exact 30 of 1', 'frame in none', 'empty in exact'])
  t.match(test.join.counters, { framesJoined: 1, framesUnjoined: 0, framesAfterClose: 1 })
  t.equal(test.join.held, 0)
})

t.test('a frame that the broker does not read holds others up for no longer than it may', async t => {
  const test = tapped()
  const { link: stuck, connection: stalled } = established(test)
  const { link, connection } = established(test, 2, 40_001)
  test.see(stuck.next('in', HELLO), link.next('in', HELLO))
  test.tell(...connection.pass('in', HELLO))
  test.pass(1_000)
  t.same(test.take(), [], 'order is kept')
  test.pass(1)
  t.same(test.take(), ['frame in none', 'frame in exact 30 of 1'])
  test.see(stuck.next('in', PINGREQ), link.next('in', HELLO))
  test.tell(...connection.pass('in', HELLO))
  t.same(test.take(), ['frame in none', 'frame in exact 30 of 1'], 'from then on it holds nobody up')
  test.tell(...stalled.pass('in', HELLO), ...stalled.pass('in', PINGREQ))
  test.see(stuck.next('in', CONNACK))
  t.same(test.take(), [], 'once the broker has caught up it waits again')
  test.tell(...stalled.pass('in', CONNACK))
  t.same(
    test.take(),
    ['packet in none 30 of 1', 'packet in none c0 of 1', 'frame in exact 20 of 1'],
    'what came too late for its frames is told'
  )
  t.equal(test.join.counters.packetsLate, 2)
})

t.test('a stream that the broker knows nothing of is waited for once', async t => {
  const test = tapped()
  const { link, connection } = established(test)
  const foreign = new Link(45_000)
  test.see(...foreign.handshake(), foreign.next('in', HELLO))
  test.take()
  test.pass(1_001)
  t.same(test.take(), ['frame in none'])
  for (let i = 0; i < 5; i++) {
    test.see(foreign.next('in', HELLO), foreign.next('out', HELLO), link.next('in', HELLO))
    test.tell(...connection.pass('in', HELLO))
    t.same(test.take(), ['frame in none', 'frame out none', 'frame in exact 30 of 1'])
  }
  const late = new TestConnection(2, 45_000)
  test.tell(
    late.open(),
    ...late.pass('in', Buffer.concat(Array(6).fill(HELLO))),
    ...late.pass('out', Buffer.concat(Array(5).fill(HELLO)))
  )
  test.see(foreign.next('in', PINGREQ))
  t.same(test.take(), [], 'should it be accepted at last, its frames wait again')
  test.tell(...late.pass('in', PINGREQ))
  t.same(test.take(), [...Array<string>(6).fill('packet in none 30 of 1'), 'frame in exact c0 of 1'])
})

t.test('a port that is used again while the tap lags behind', async t => {
  const test = tapped()
  const [first, second] = [new Link(40_000, { in: 1_000, out: 2_000 }), new Link(40_000, { in: 700_000, out: 800_000 })]
  const [one, two] = [new TestConnection(1), new TestConnection(2)]
  test.tell(one.open(), one.identity('one'), ...one.pass('in', HELLO), one.close())
  test.tell(two.open(), two.identity('two'), ...two.pass('in', subscribe(['a'])))
  test.see(
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

t.test('a port that is used again before the broker has told anything', async t => {
  const test = tapped()
  const [first, second] = [new Link(40_000, { in: 1_000, out: 2_000 }), new Link(40_000, { in: 700_000, out: 800_000 })]
  const [one, two] = [new TestConnection(1), new TestConnection(2)]
  test.see(
    ...first.handshake(),
    first.next('in', HELLO),
    first.fin('in'),
    ...second.handshake(),
    second.next('in', subscribe(['a']))
  )
  test.tell(one.open(), ...one.pass('in', HELLO), one.close(), two.open(), ...two.pass('in', subscribe(['a'])))
  const frames = test.records.filter(({ features }) => features.tcp_len !== 0)
  t.same(
    frames.map(({ peer, features, join }) => [peer.connection, features.mqtt_header, join]),
    [
      [1, 0x30, 'exact'],
      [2, 0x82, 'exact']
    ]
  )
})

t.test('a SYN that nobody answered is not taken for the connection that came of the next', async t => {
  for (const brokerFirst of [true, false]) {
    const test = tapped()
    const [failed, link] = [
      new Link(40_000, { in: 1_000, out: 2_000 }),
      new Link(40_000, { in: 700_000, out: 800_000 })
    ]
    const connection = new TestConnection(1)
    if (brokerFirst) test.tell(connection.open())
    test.see(failed.segment('in', 0, undefined, SYN), ...link.handshake(), link.next('in', HELLO))
    if (!brokerFirst) test.tell(connection.open())
    test.tell(...connection.pass('in', HELLO))
    t.equal(test.take().at(-1), 'frame in exact 30 of 1')
  }
})

t.test('a connection whose SYN the tap missed is judged by its packets', async t => {
  const test = tapped()
  const link = new Link()
  const connection = new TestConnection(1, 40_000, test.clock)
  test.tell(connection.open(), ...connection.pass('in', connect()))
  t.same(test.take(), [], 'its SYN may still come')
  test.clock.advance(600)
  test.tell(...connection.pass('out', CONNACK))
  test.pass(401)
  t.same(test.take(), ['packet in none 10 of 1', 'packet out none 20 of 1'], 'in the order in which they came')
  test.see(link.next('in', HELLO))
  test.tell(...connection.pass('in', HELLO))
  t.same(test.take(), ['packet in none 30 of 1'])
})

t.test('a connection whose frames cease to come is judged by its packets', async t => {
  const test = tapped()
  const { connection } = established(test)
  test.tell(...connection.pass('in', HELLO))
  test.pass(5_000)
  t.same(test.take(), [])
  test.pass(1)
  t.same(test.take(), [], 'looked at now and then')
  test.pass(250)
  t.same(test.take(), ['packet in none 30 of 1'])
  test.tell(...connection.pass('in', HELLO))
  t.same(test.take(), ['packet in none 30 of 1'])
})

t.test('a closed connection is forgotten, whether or not its frames come', async t => {
  const test = tapped()
  const { link, connection } = established(test)
  const { connection: other } = established(test, 2, 40_001)
  test.tell(...connection.pass('in', HELLO), connection.close(), ...other.pass('in', HELLO), other.close())
  test.see(link.next('in', HELLO))
  t.same(test.take(), ['frame in exact 30 of 1'])
  test.pass(5_500)
  t.same(test.take(), ['packet in none 30 of 1'], 'what has no frame is told all the same')
  t.equal(sizes(test.join), '0 0 0')
  for (const transport of ['tcp', 'tls'] as const) {
    const unseen = new TestConnection(3, 40_002)
    test.tell(unseen.open(transport), unseen.close())
    test.pass(1_500)
    test.pass(1_500)
    t.equal(sizes(test.join), '0 0 0', transport)
  }
  test.join.tapDown()
  const untapped = new TestConnection(4, 40_003)
  test.tell(untapped.open())
  t.equal(sizes(test.join), '1 1 0')
  test.tell(untapped.close())
  t.equal(sizes(test.join), '0 0 0')
})

t.test('bytes that contradict what the broker says end the join of that connection', async t => {
  const test = tapped()
  const { link, connection } = established(test)
  test.tell(...connection.pass('in', HELLO), ...connection.pass('in', PINGREQ))
  const other = publish('a', 'hello', { qos: 1 }).subarray(0, HELLO.length)
  test.see(link.next('in', other))
  t.same(test.take(), ['packet in none 30 of 1', 'packet in none c0 of 1'], 'in the order in which they came')
  t.equal(test.join.counters.mismatches, 1)
  test.see(link.next('in', HELLO))
  test.tell(...connection.pass('in', HELLO))
  t.same(test.take(), ['packet in none 30 of 1'])
})

t.test('what the detection itself publishes is marked, and nothing else', async t => {
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
    test.see(link.next('out', bytes))
    test.tell(...connection.pass('out', bytes))
    t.equal(test.records.pop()?.own, own)
  }
  test.see(link.next('in', alert))
  test.tell(...connection.pass('in', alert))
  t.equal(test.records.pop()?.own, false, 'what a client sends is never ours')
})

t.test('entries of connections nobody announced are counted', async t => {
  const test = tapped()
  const connection = new TestConnection(9)
  test.tell(...connection.pass('in', HELLO), connection.identity('x'), connection.close())
  t.same(test.take(), [])
  t.equal(test.join.counters.packetsUnknown, 3)
})
