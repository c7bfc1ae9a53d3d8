// Connections older than the tap are found by their pauses, or not joined at all.

import t from 'tap'
import { PauseAlignment, SAME_CLOCK } from '../../src/join/pause-alignment.js'
import { connect, CONNACK, PINGREQ, publish } from '../decode/craft-mqtt.js'
import { Link, TestConnection, TestJoin } from './wire.js'

const MISSED = 12_345

/** A burst of data: when the tap captures it, the delay of the broker's entry, and its length. */
interface Burst {
  at: number
  latency?: number
  bytes: number
  isUncaptured?: boolean
  isUnreported?: boolean
}

const [EXACT, COARSE] = SAME_CLOCK

function shiftAfter(bursts: readonly Burst[], timing = EXACT): number | undefined {
  const alignment = new PauseAlignment(timing)
  let [broker, tap] = [MISSED, 0]
  for (const { at, latency = 0.1, bytes, isUncaptured, isUnreported } of bursts) {
    broker += bytes
    tap += bytes
    if (isUncaptured !== true) alignment.addTap(at, tap)
    if (isUnreported !== true) alignment.addBroker(at + latency, broker)
  }
  return alignment.shift
}

const steady = (count: number, everyMs = 100, extra: Partial<Burst> = {}): Burst[] =>
  Array.from({ length: count }, (_, i) => ({ at: 1e12 + i * everyMs, bytes: 50 + (i % 3), ...extra }))

t.test('a few pauses suffice, but not fewer', async t => {
  t.equal(shiftAfter(steady(4)), undefined)
  t.equal(shiftAfter(steady(7)), MISSED)
  t.equal(shiftAfter(steady(7, 100, { latency: -3 })), MISSED, 'with a small clock offset')
})

t.test('traffic without pauses gives no result', async t => {
  t.equal(shiftAfter(steady(5_000, 1)), undefined)
  t.equal(shiftAfter(steady(5_000, 35)), undefined)
})

t.test('a clock offset or a slow broker gives no result rather than a wrong one', async t => {
  t.equal(shiftAfter(steady(50, 100, { latency: 15 })), undefined)
  t.equal(
    shiftAfter(steady(50, 100, { latency: 95 })),
    undefined,
    'a delay of almost one message interval, less the tolerance'
  )
  t.equal(shiftAfter(steady(50, 100, { latency: 95, bytes: 50 })), undefined, 'the same with equal lengths')
  t.equal(shiftAfter(steady(50, 100, { bytes: 50 })), undefined, 'equal lengths do not show whether both are in step')
  t.equal(shiftAfter(steady(50, 100, { latency: 400 })), undefined)
})

t.test('on a busy machine the coarse timing applies', async t => {
  t.equal(shiftAfter(steady(7, 500, { latency: 80 })), undefined)
  t.equal(shiftAfter(steady(7, 500, { latency: 80 }), COARSE), MISSED)
  t.equal(shiftAfter(steady(50, 500, { latency: 150 }), COARSE), undefined)
  t.equal(shiftAfter(steady(50, 500, { latency: 450 }), COARSE), undefined, 'by almost one message interval')
})

t.test('a second segment delayed by TCP until an acknowledgement gives no wrong result', async t => {
  const alignment = new PauseAlignment(EXACT)
  for (let i = 0; i < 50; i++) {
    const at = 1e12 + i * 200
    alignment.addBroker(at, MISSED + i * 100 + 50)
    alignment.addTap(at, i * 100 + 50)
    // Written immediately, sent 40 ms later.
    alignment.addBroker(at + 1, MISSED + i * 100 + 100)
    alignment.addTap(at + 41, i * 100 + 100)
  }
  t.equal(alignment.shift, undefined)
})

t.test('a disagreeing pause starts the count again', async t => {
  const bursts = steady(30)
  bursts[4] = { ...bursts[4], isUncaptured: true }
  t.equal(shiftAfter(bursts.slice(0, 8)), undefined)
  t.equal(shiftAfter(bursts), MISSED)
})

/** A connection whose start the tap did not capture, with traffic in both directions. */
class Older {
  readonly test = new TestJoin()
  readonly link = new Link()
  readonly connection = new TestConnection(1, 40_000, this.test.clock)
  #count = 0

  constructor() {
    this.test.clock.time = this.test.tap.time * 1_000
    this.test.report(
      this.connection.open(),
      ...this.connection.pass('in', connect()),
      ...this.connection.pass('out', CONNACK)
    )
    this.link.sent.in = connect().length
    this.link.sent.out = CONNACK.length
    this.test.join.tapUp()
    this.test.take()
  }

  /** A message, an answer and a pause. */
  round(): string[] {
    const { test, link, connection } = this
    const hello = publish('a', 'x'.repeat(10 + (this.#count++ % 7)))
    const answer = publish('b', 'y'.repeat(this.#count % 5), { qos: 1 })
    test.clock.advance(200)
    test.tap.time = test.clock.time / 1_000
    test.capture(link.next('in', hello))
    test.clock.advance(1)
    test.report(...connection.pass('in', hello), ...connection.pass('in', PINGREQ))
    test.capture(link.next('in', PINGREQ))
    test.report(...connection.pass('out', answer))
    test.capture(link.next('out', answer))
    return test.take()
  }
}

t.test('a connection older than the tap is joined once its offset is found', async t => {
  const older = new Older()
  t.same(older.round(), ['packet in none 30 of 1', 'packet in none c0 of 1', 'packet out none 32 of 1'])
  for (let i = 0; i < 8; i++) older.round()
  t.equal(older.test.join.counters.midstreamFound, 2, 'both directions')
  t.same(older.round(), ['frame in exact 30 of 1', 'frame in exact c0 of 1', 'frame out exact 32 of 1'])
  const { packetsAlone, framesJoined, framesUnjoined, mismatches } = older.test.join.counters
  t.ok(packetsAlone > 9 && framesJoined >= 3)
  t.same([framesUnjoined, mismatches, older.test.join.held], [0, 0, 0])
})

t.test('no packet is lost or duplicated during a mid-stream pickup', async t => {
  const older = new Older()
  const headers = Array.from({ length: 20 }, () => older.round())
    .flat()
    .filter(record => / of /.test(record))
    .map(record => record.split(' ')[3])
  t.same(headers, Array.from({ length: 20 }, () => ['30', 'c0', '32']).flat())
})

t.test('a contradiction between entry and frame ends the join', async t => {
  const older = new Older()
  for (let i = 0; i < 9; i++) older.round()
  const { test, link, connection } = older
  test.capture(link.next('in', PINGREQ))
  test.report(...connection.pass('in', Buffer.from([0xe0, 0])))
  t.same(test.take(), ['packet in none e0 of 1'])
  t.equal(test.join.counters.mismatches, 1)
  t.same(test.reasons, ['mismatch'])
})

t.test('after a lag of the tap, the connection is joined again once the tap has caught up', async t => {
  const test = new TestJoin()
  test.join.tapUp()
  const link = new Link()
  const connection = new TestConnection(1, 40_000, test.clock)
  const hello = publish('a', 'hello')
  test.report(connection.open())
  test.capture(...link.handshake())
  test.take()
  test.report(...connection.pass('in', hello), ...connection.pass('in', hello))
  test.pass(5_001)
  test.pass(5_001)
  t.same(test.take(), ['packet in none 30 of 1', 'packet in none 30 of 1'])
  t.same(test.reasons, ['unseen'])
  test.capture(link.next('in', hello))
  t.same(test.take(), [], 'a frame whose packet is already a record')
  test.capture(link.next('in', hello))
  test.capture(link.next('in', hello))
  test.report(...connection.pass('in', hello))
  t.same(test.take(), ['frame in exact 30 of 1'])
  t.match(test.join.counters, { connectionsBlind: 1, midstreamFound: 1 })
})
