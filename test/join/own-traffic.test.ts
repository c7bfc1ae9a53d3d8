// No feedback: the detection's own messages do not affect other scores, on any path.

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
/** Longer than three segments. A status is longer than one. */
const LONG = 'x'.repeat(4_000)

/** A connection whose client acknowledges every segment. */
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
    .map(segment => records.record(tap.capture(segment)).own)
    .slice(3)
}

t.test('the parts of a long own message and their acknowledgements', async t => {
  const [status, other] = [publish('artemis/status', LONG), publish('home/x', LONG)]
  t.same(ownOf('artemis/', [['out', status]]), Array(6).fill(true))
  t.same(ownOf('artemis/', [['out', other]]), Array(6).fill(false))
  t.same(
    ownOf(undefined, [['out', publish('$SYS/broker/artemis/status', LONG)]]),
    Array(6).fill(true),
    'with the topics of the Artemis broker'
  )
  t.same(ownOf('artemis/', [['in', status]]), Array(3).fill(false), 'messages from clients to these topics are scored')
  t.same(
    ownOf('artemis/', [
      ['out', publish('artemis/status', '1')],
      ['out', publish('home/x', '1')],
      ['out', publish('artemis/status', '2')]
    ]),
    [true, true, false, false, true, true],
    'other messages in between are scored, and their acknowledgements'
  )
  t.same(
    ownOf('artemis/', [['out', Buffer.concat([publish('artemis/status', '1'), other])]]),
    Array(6).fill(false),
    'a frame with part of another message is scored'
  )
})

t.test('one acknowledgement of several segments, but no other frame', async t => {
  const [tap, link, records] = [new TestTap(), new Answering(), new DecodedRecords({ ownPrefix: 'artemis/' })]
  const own = (segment: Segment): boolean => records.record(tap.capture(segment)).own
  for (const segment of link.handshake()) t.notOk(own(segment))
  const status = publish('artemis/status', LONG)
  const [first, second, third] = [0, 1, 2].map(i =>
    link.next('out', status.subarray(i * SEGMENT_BYTES, (i + 1) * SEGMENT_BYTES))
  )
  t.same([first, second, third].map(own), [true, true, true])
  t.ok(own(link.acknowledgement(second)), 'while the third is in flight')
  t.ok(own(link.acknowledgement(third)))
  t.notOk(
    own({ ...link.fin('in'), acknowledgement: link.acknowledgement(third).acknowledgement }),
    'a FIN is initiated by the client'
  )
  t.notOk(own(link.next('in', PINGREQ)))
})

t.test('own messages in the live join', async t => {
  const test = new TestJoin(DEFAULT_JOIN_LIMITS)
  test.join.tapUp()
  const [link, connection] = [new Answering(), new TestConnection(1)]
  test.report(connection.open())
  test.capture(...link.handshake(), ...link.exchange('out', CONNACK))
  test.report(...connection.pass('out', CONNACK))
  test.records.length = 0
  const status = publish('$SYS/broker/artemis/status', LONG)
  const message = publish('home/x', LONG)
  test.report(...connection.pass('out', status), ...connection.pass('out', message))
  test.capture(...link.exchange('out', status), ...link.exchange('out', message))
  t.same(
    test.records.map(({ own, join }) => `${join} ${own}`),
    [...Array<string>(6).fill('exact true'), ...Array<string>(6).fill('exact false')]
  )
})

/**
 * A home with a dashboard, with or without the detection's own messages. Returns what is scored, with the columns of
 * the default preset.
 */
function scored(isPublishing: boolean): unknown[] {
  const [tap, records] = [
    new TestTap(),
    new DecodedRecords({ ownPrefix: 'artemis/', isOwn: ({ client }) => client.port === 40_009 })
  ]
  const [sensor, dashboard, publisher] = [new Answering(40_001), new Answering(40_002), new Answering(40_009)]
  const found: TrafficRecord[] = []
  const take = (time: number, ...segments: Segment[]): void => {
    tap.time = time
    for (const segment of segments) found.push(records.record(tap.capture(segment)))
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

t.test('scored records are the same with and without own messages', async t => {
  const [without, having] = [scored(false), scored(true)]
  t.ok(without.length > 300, `${without.length} records`)
  t.equal(having.length, without.length)
  t.same(having, without)
})
