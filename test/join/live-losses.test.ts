// The exact join with missing data: dropped ring entries, and overflows of the limits.

import t from 'tap'
import { publish, PINGREQ } from '../decode/craft-mqtt.js'
import { established, Link, sizes, tapped, TestConnection } from './wire.js'

const HELLO = publish('a', 'hello')

t.test('a dropped packet affects its frame, and the next frame is joined again', async t => {
  const test = tapped()
  const { link, connection } = established(test)
  const lost = connection.pass('in', HELLO)
  t.equal(lost.length, 1)
  test.capture(link.next('in', HELLO), link.next('in', PINGREQ))
  t.same(test.take(), [])
  test.report(...connection.pass('in', PINGREQ))
  t.same(test.take(), ['frame in none', 'frame in exact c0 of 1'])
})

t.test('a dropped packet is also detected by the next mark', async t => {
  const test = tapped()
  const { link, connection } = established(test)
  connection.pass('in', HELLO)
  test.capture(link.next('in', HELLO))
  test.report(...connection.pass('in', PINGREQ.subarray(0, 1)))
  t.same(test.take(), ['frame in none'])
})

t.test('limit: frames held', async t => {
  const test = tapped({ pendingFrames: 3 })
  const { link, connection } = established(test)
  for (let i = 0; i < 5; i++) test.join.frame(test.tap.capture(link.next('in', PINGREQ)))
  t.equal(test.join.held, 3)
  t.same(test.take(), ['frame in none', 'frame in none'])
  test.report(...connection.pass('in', Buffer.concat(Array(5).fill(PINGREQ))))
  t.same(test.take(), [
    ...Array<string>(2).fill('packet in none c0 of 1'),
    ...Array<string>(3).fill('frame in exact c0 of 1')
  ])
  t.equal(test.join.counters.packetsLate, 2)
})

t.test('limit: an overflow with final frames loses nothing', async t => {
  const test = tapped({ pendingFrames: 3 })
  const { link, connection } = established(test)
  const frames = [
    link.next('in', HELLO),
    link.segment('in', link.sent.in, undefined, 16),
    link.next('in', PINGREQ),
    link.next('in', PINGREQ),
    link.next('in', PINGREQ)
  ]
  for (const entry of connection.pass('in', HELLO)) test.join.entry(entry)
  for (const segment of frames) test.join.frame(test.tap.capture(segment))
  t.same(test.take(), ['frame in exact 30 of 1', 'empty in exact'])
  test.join.release()
  t.same(test.take(), [], 'the others still wait')
  test.report(...connection.pass('in', Buffer.concat(Array(3).fill(PINGREQ))))
  t.same(test.take(), Array(3).fill('frame in exact c0 of 1'))
})

t.test('limit: waiting packets', async t => {
  const test = tapped({ packetsPerConnection: 4 })
  const { connection } = established(test)
  for (let i = 0; i < 4; i++) test.report(...connection.pass('in', PINGREQ))
  t.same(test.take(), [])
  test.report(...connection.pass('in', PINGREQ))
  t.same(test.take(), Array(5).fill('packet in none c0 of 1'))
})

t.test('limit: flows without a connection', async t => {
  const test = tapped({ unboundStreams: 3 })
  const links = Array.from({ length: 5 }, (_, i) => new Link(40_000 + i))
  for (const link of links) test.capture(...link.handshake())
  t.equal(sizes(test.join), '0 0 3')
  test.take()
  for (const [i, link] of links.entries()) {
    const connection = new TestConnection(i + 1, link.port)
    test.report(connection.open(), ...connection.pass('in', HELLO))
    test.capture(link.next('in', HELLO))
    t.same(test.take(), ['frame in exact 30 of 1'], 'a dropped flow is found again by its next frame')
  }
  t.equal(sizes(test.join), '5 0 0')
})

t.test(
  'several packets that end at the same offset, as in a TLS record, join the same frame, however late the last entry is',
  async t => {
    const { test, link, packet } = encrypted()
    test.capture(link.next('in', Buffer.alloc(100, 23)), link.next('in', Buffer.alloc(50, 23)))
    packet(100, 0, false)
    packet(100, 1, false)
    t.same(test.take(), [], 'a third one may follow')
    packet(100, 2, true)
    t.same(test.take(), ['frame in tls 30 of 3'])
    packet(150, 3, true)
    t.same(test.take(), ['frame in tls 30 of 1'], 'encrypted bytes do not contradict the join')
  }
)

t.test('a dropped packet among several with the same end offset affects that frame only', async t => {
  for (const dropped of [0, 1, 2, 3]) {
    const { test, link, packet, mark } = encrypted()
    test.capture(
      link.next('in', Buffer.alloc(60, 23)),
      link.next('in', Buffer.alloc(100, 23)),
      link.next('in', Buffer.alloc(50, 23))
    )
    packet(60, 0, true)
    t.same(test.take(), ['frame in tls 30 of 1'])
    for (const ordinal of [1, 2, 3]) if (ordinal !== dropped) packet(160, ordinal, false)
    mark(160, 4)
    t.same(test.take(), [dropped === 0 ? 'frame in tls 30 of 3' : 'frame in none'])
    packet(210, 4, true)
    t.same(test.take(), ['frame in tls 30 of 1'])
  }
})

t.test('a WebSocket frame must start with a valid byte: otherwise the connection is a mismatch', async t => {
  const { test, link, packet } = encrypted('websocket')
  const frame = (first: number): Buffer => Buffer.concat([Buffer.of(first), Buffer.alloc(59, 0x61)])
  test.capture(link.next('in', Buffer.concat([frame(0x82), frame(0x82).subarray(0, 9)])))
  packet(60, 0, true)
  packet(120, 1, true)
  t.same(test.take(), ['frame in websocket 30 of 1'])
  test.capture(link.next('in', Buffer.concat([frame(0x82).subarray(9), frame(0x65)])))
  packet(180, 2, true)
  t.same(test.take(), ['packet in none 30 of 1', 'packet in none 30 of 1'])
  t.equal(test.join.counters.mismatches, 1)
})

/** A connection over TLS or WebSocket with a captured handshake, whose entries use TCP stream offsets. */
function encrypted(carrier: 'tls' | 'websocket' = 'tls') {
  const test = tapped()
  const link = new Link()
  const connection = new TestConnection(1)
  test.report(connection.open(carrier))
  test.capture(...link.handshake())
  test.take()
  const [hello] = connection.pass('in', HELLO)
  if (hello.kind !== 'packet') throw new Error('expected a packet entry')
  return {
    test,
    link,
    packet: (end: number, ordinal: number, last: boolean) => {
      test.report({ ...hello, packet: { ...hello.packet, end }, ordinal, last })
    },
    mark: (offset: number, ordinal: number) => {
      test.report({ kind: 'mark', connection: 1, direction: 'in', time: 0, begin: offset, offset, ordinal })
    }
  }
}
