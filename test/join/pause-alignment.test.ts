// Connections older than the tap: found by their pauses, or not joined at all.

import t from 'tap'
import { PauseAlignment, SAME_CLOCK } from '../../src/join/pause-alignment.js'
import { connect, CONNACK, PINGREQ, publish } from '../decode/craft-mqtt.js'
import { Link, TestConnection, TestJoin } from './wire.js'

const MISSED = 12_345

/** Something that goes by: when the tap saw it, by how much later the broker told, and how long it is. */
interface Burst {
  at: number
  latency?: number
  bytes: number
  unseen?: boolean
  untold?: boolean
}

const [EXACT, COARSE] = SAME_CLOCK

function shiftAfter(bursts: readonly Burst[], timing = EXACT): number | undefined {
  const alignment = new PauseAlignment(timing)
  let [told, seen] = [MISSED, 0]
  for (const { at, latency = 0.1, bytes, unseen, untold } of bursts) {
    told += bytes
    seen += bytes
    if (unseen !== true) alignment.see(at, seen)
    if (untold !== true) alignment.tell(at + latency, told)
  }
  return alignment.shift
}

const steady = (count: number, everyMs = 100, extra: Partial<Burst> = {}): Burst[] =>
  Array.from({ length: count }, (_, i) => ({ at: 1e12 + i * everyMs, bytes: 50 + (i % 3), ...extra }))

t.test('a few pauses are enough, and no fewer', async t => {
  t.equal(shiftAfter(steady(4)), undefined)
  t.equal(shiftAfter(steady(7)), MISSED)
  t.equal(shiftAfter(steady(7, 100, { latency: -3 })), MISSED, 'clocks may differ somewhat')
})

t.test('what never pauses is not found', async t => {
  t.equal(shiftAfter(steady(5_000, 1)), undefined)
  t.equal(shiftAfter(steady(5_000, 35)), undefined)
})

t.test('a clock that is off, and a broker that lags behind, give nothing rather than something wrong', async t => {
  t.equal(shiftAfter(steady(50, 100, { latency: 15 })), undefined)
  t.equal(
    shiftAfter(steady(50, 100, { latency: 95 })),
    undefined,
    'by as much as from one message to the next, less the tolerance'
  )
  t.equal(shiftAfter(steady(50, 100, { latency: 95, bytes: 50 })), undefined, 'the same where all are of one length')
  t.equal(shiftAfter(steady(50, 100, { bytes: 50 })), undefined, 'nobody could tell it from a broker that is in step')
  t.equal(shiftAfter(steady(50, 100, { latency: 400 })), undefined)
})

t.test('a machine that is busy is in step coarsely', async t => {
  t.equal(shiftAfter(steady(7, 500, { latency: 80 })), undefined)
  t.equal(shiftAfter(steady(7, 500, { latency: 80 }), COARSE), MISSED)
  t.equal(shiftAfter(steady(50, 500, { latency: 150 }), COARSE), undefined)
  t.equal(shiftAfter(steady(50, 500, { latency: 450 }), COARSE), undefined, 'by almost one message')
})

t.test('a second segment that TCP holds back for an acknowledgement misleads nobody', async t => {
  const alignment = new PauseAlignment(EXACT)
  for (let i = 0; i < 50; i++) {
    const at = 1e12 + i * 200
    alignment.tell(at, MISSED + i * 100 + 50)
    alignment.see(at, i * 100 + 50)
    // Written at once, sent 40 ms later.
    alignment.tell(at + 1, MISSED + i * 100 + 100)
    alignment.see(at + 41, i * 100 + 100)
  }
  t.equal(alignment.shift, undefined)
})

t.test('one that disagrees begins anew', async t => {
  const bursts = steady(30)
  bursts[4] = { ...bursts[4], unseen: true }
  t.equal(shiftAfter(bursts.slice(0, 8)), undefined)
  t.equal(shiftAfter(bursts), MISSED)
})

/** A connection of which the tap saw no beginning, with traffic both ways. */
class Older {
  readonly test = new TestJoin()
  readonly link = new Link()
  readonly connection = new TestConnection(1, 40_000, this.test.clock)
  #count = 0

  constructor() {
    this.test.clock.time = this.test.tap.time * 1_000
    this.test.tell(
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
    test.see(link.next('in', hello))
    test.clock.advance(1)
    test.tell(...connection.pass('in', hello), ...connection.pass('in', PINGREQ))
    test.see(link.next('in', PINGREQ))
    test.tell(...connection.pass('out', answer))
    test.see(link.next('out', answer))
    return test.take()
  }
}

t.test('a connection older than the tap is joined once it is found', async t => {
  const older = new Older()
  t.same(older.round(), ['packet in none 30 of 1', 'packet in none c0 of 1', 'packet out none 32 of 1'])
  for (let i = 0; i < 8; i++) older.round()
  t.equal(older.test.join.counters.midstreamFound, 2, 'both directions')
  t.same(older.round(), ['frame in exact 30 of 1', 'frame in exact c0 of 1', 'frame out exact 32 of 1'])
  const { packetsAlone, framesJoined, framesUnjoined, mismatches } = older.test.join.counters
  t.ok(packetsAlone > 9 && framesJoined >= 3)
  t.same([framesUnjoined, mismatches, older.test.join.held], [0, 0, 0])
})

t.test('no packet is told twice, and none is lost, while a connection is found', async t => {
  const older = new Older()
  const headers = Array.from({ length: 20 }, () => older.round())
    .flat()
    .filter(record => / of /.test(record))
    .map(record => record.split(' ')[3])
  t.same(headers, Array.from({ length: 20 }, () => ['30', 'c0', '32']).flat())
})

t.test('what the broker and the frame itself disagree on ends it', async t => {
  const older = new Older()
  for (let i = 0; i < 9; i++) older.round()
  const { test, link, connection } = older
  test.see(link.next('in', PINGREQ))
  test.tell(...connection.pass('in', Buffer.from([0xe0, 0])))
  t.same(test.take(), ['packet in none e0 of 1'])
  t.equal(test.join.counters.mismatches, 1)
  t.same(test.reasons, ['mismatch'])
})

t.test('a tap that was behind is joined again once it has caught up', async t => {
  const test = new TestJoin()
  test.join.tapUp()
  const link = new Link()
  const connection = new TestConnection(1, 40_000, test.clock)
  const hello = publish('a', 'hello')
  test.tell(connection.open())
  test.see(...link.handshake())
  test.take()
  test.tell(...connection.pass('in', hello), ...connection.pass('in', hello))
  test.pass(5_001)
  test.pass(5_001)
  t.same(test.take(), ['packet in none 30 of 1', 'packet in none 30 of 1'])
  t.same(test.reasons, ['unseen'])
  test.see(link.next('in', hello))
  t.same(test.take(), [], 'a frame of what was told')
  test.see(link.next('in', hello))
  test.see(link.next('in', hello))
  test.tell(...connection.pass('in', hello))
  t.same(test.take(), ['frame in exact 30 of 1'])
  t.match(test.join.counters, { connectionsBlind: 1, midstreamFound: 1 })
})
