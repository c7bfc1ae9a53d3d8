// No feedback: what the detection publishes changes nothing of what is judged, however it travels.

import t from 'tap'
import { columnsOf } from '../../src/features/columns.js'
import { FEATURES } from '../../src/features/schema.js'
import { DecodedRecords } from '../../src/join/decoded-records.js'
import { DEFAULT_JOIN_LIMITS } from '../../src/join/limits.js'
import type { TrafficRecord } from '../../src/record.js'
import type { Direction } from '../../src/types.js'
import { CONNACK, connect, PINGREQ, publish, subscribe } from '../decode/craft-mqtt.js'
import { ACK, type Segment } from '../decode/craft.js'
import { Link, TestConnection, TestJoin, TestTap } from './wire.js'

const SEGMENT_BYTES = 1_448
/** Longer than three segments, as a status is than one. */
const LONG = 'x'.repeat(4_000)

/** A connection whose client acknowledges every segment that it gets. */
class Answering extends Link {
  exchange(direction: Direction, bytes: Uint8Array): Segment[] {
    const segments: Segment[] = []
    for (let at = 0; at < bytes.length; at += SEGMENT_BYTES)
      segments.push(this.next(direction, bytes.subarray(at, at + SEGMENT_BYTES)))
    return direction === 'in' ? segments : segments.flatMap(segment => [segment, this.acknowledgement(segment)])
  }

  acknowledgement({ sequence = 0, payload }: Segment): Segment {
    return {
      ...this.segment('in', this.sent.in, undefined, ACK),
      acknowledgement: (sequence + (payload?.length ?? 0)) >>> 0
    }
  }
}

function ownOf(prefix: string | undefined, sent: readonly [Direction, Buffer][]): boolean[] {
  const [tap, link, records] = [
    new TestTap(),
    new Answering(),
    new DecodedRecords(prefix === undefined ? {} : { ownPrefix: prefix })
  ]
  return [...link.handshake(), ...sent.flatMap(([direction, bytes]) => link.exchange(direction, bytes))]
    .map(segment => records.record(tap.see(segment)).own)
    .slice(3)
}

t.test('the parts of a long message, and the acknowledgements of each', async t => {
  const [status, other] = [publish('artemis/status', LONG), publish('home/x', LONG)]
  t.same(ownOf('artemis/', [['out', status]]), Array(6).fill(true))
  t.same(ownOf('artemis/', [['out', other]]), Array(6).fill(false))
  t.same(
    ownOf(undefined, [['out', publish('$SYS/broker/artemis/status', LONG)]]),
    Array(6).fill(true),
    'as a broker of ours publishes'
  )
  t.same(ownOf('artemis/', [['in', status]]), Array(3).fill(false), 'a client that publishes there is judged')
  t.same(
    ownOf('artemis/', [
      ['out', publish('artemis/status', '1')],
      ['out', publish('home/x', '1')],
      ['out', publish('artemis/status', '2')]
    ]),
    [true, true, false, false, true, true],
    'what comes between is judged, and its acknowledgement'
  )
  t.same(
    ownOf('artemis/', [['out', Buffer.concat([publish('artemis/status', '1'), other])]]),
    Array(6).fill(false),
    "a frame with somebody else's part is judged"
  )
})

t.test('one acknowledgement of several segments; none of any other kind', async t => {
  const [tap, link, records] = [new TestTap(), new Answering(), new DecodedRecords({ ownPrefix: 'artemis/' })]
  const own = (segment: Segment): boolean => records.record(tap.see(segment)).own
  for (const segment of link.handshake()) t.notOk(own(segment))
  const status = publish('artemis/status', LONG)
  const [first, second, third] = [0, 1, 2].map(i =>
    link.next('out', status.subarray(i * SEGMENT_BYTES, (i + 1) * SEGMENT_BYTES))
  )
  t.same([first, second, third].map(own), [true, true, true])
  t.ok(own(link.acknowledgement(second)), 'while the third is on its way')
  t.ok(own(link.acknowledgement(third)))
  t.notOk(
    own({ ...link.fin('in'), acknowledgement: link.acknowledgement(third).acknowledgement }),
    "an end is somebody's doing"
  )
  t.notOk(own(link.next('in', PINGREQ)))
})

t.test('as the broker tells of it', async t => {
  const test = new TestJoin(DEFAULT_JOIN_LIMITS)
  test.join.tapUp()
  const [link, connection] = [new Answering(), new TestConnection(1)]
  test.tell(connection.open())
  test.see(...link.handshake(), ...link.exchange('out', CONNACK))
  test.tell(...connection.pass('out', CONNACK))
  test.records.length = 0
  const status = publish('$SYS/broker/artemis/status', LONG)
  const message = publish('home/x', LONG)
  test.tell(...connection.pass('out', status), ...connection.pass('out', message))
  test.see(...link.exchange('out', status), ...link.exchange('out', message))
  t.same(
    test.records.map(({ own, join }) => `${join} ${own}`),
    [...Array<string>(6).fill('exact true'), ...Array<string>(6).fill('exact false')]
  )
})

/**
 * A home with a dashboard, and the detection's own messages among its traffic or not; what is judged, by the shipped
 * columns.
 */
function judged(isPublishing: boolean): unknown[] {
  const [tap, records] = [
    new TestTap(),
    new DecodedRecords({ ownPrefix: 'artemis/', isOwn: ({ client }) => client.port === 40_009 })
  ]
  const [sensor, dashboard, publisher] = [new Answering(40_001), new Answering(40_002), new Answering(40_009)]
  const found: TrafficRecord[] = []
  const take = (time: number, ...segments: Segment[]): void => {
    tap.time = time
    for (const segment of segments) found.push(records.record(tap.see(segment)))
  }
  const start = tap.time
  if (isPublishing)
    take(
      start + 0.1,
      ...publisher.handshake(),
      ...publisher.exchange('in', connect()),
      ...publisher.exchange('out', CONNACK)
    )
  for (const link of [sensor, dashboard])
    take(
      start + 0.2 + (link.port % 10),
      ...link.handshake(),
      ...link.exchange('in', connect()),
      ...link.exchange('out', CONNACK)
    )
  take(start + 5, ...dashboard.exchange('in', subscribe(['#'])))
  for (let i = 0; i < 100; i++) {
    if (isPublishing) {
      const alert = publish(`artemis/${i % 2 === 0 ? 'alerts' : 'status'}`, LONG)
      take(start + 6 + i, ...publisher.exchange('in', alert), ...dashboard.exchange('out', alert))
    }
    const reading = publish('home/kitchen', `{"t":${20 + (i % 7)}}`)
    take(start + 6.5 + i, ...sensor.exchange('in', reading), ...dashboard.exchange('out', reading))
  }
  const columns = FEATURES.map(({ name }) => name).filter(name => columnsOf('behaviour', 'wire').includes(name))
  return found
    .filter(({ own }) => !own)
    .map(({ features, direction, packets }) => ({
      direction,
      packets,
      table: columns.map(name => features[name]),
      context: [...(features.context?.values ?? [])],
      answers: features.context?.references.length
    }))
}

t.test('what is judged is the same with and without it', async t => {
  const [without, having] = [judged(false), judged(true)]
  t.ok(without.length > 300, `${without.length} records`)
  t.equal(having.length, without.length)
  t.same(having, without)
})
