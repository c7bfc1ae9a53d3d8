// The exact join where something is missing: entries that the ring dropped, and what is beyond a cap.

import t from 'tap'
import { publish, PINGREQ } from '../decode/craft-mqtt.js'
import { established, Link, sizes, tapped, TestConnection } from './wire.js'

const HELLO = publish('a', 'hello')

t.test('a dropped packet leaves a hole, and the next frame is whole again', async t => {
  const test = tapped()
  const { link, connection } = established(test)
  const lost = connection.pass('in', HELLO)
  t.equal(lost.length, 1)
  test.see(link.next('in', HELLO), link.next('in', PINGREQ))
  t.same(test.take(), [])
  test.tell(...connection.pass('in', PINGREQ))
  t.same(test.take(), ['frame in none', 'frame in exact c0 of 1'])
})

t.test('a dropped packet is noticed by the mark that follows it, too', async t => {
  const test = tapped()
  const { link, connection } = established(test)
  connection.pass('in', HELLO)
  test.see(link.next('in', HELLO))
  test.tell(...connection.pass('in', PINGREQ.subarray(0, 1)))
  t.same(test.take(), ['frame in none'])
})

t.test('caps: frames held', async t => {
  const test = tapped({ pendingFrames: 3 })
  const { link, connection } = established(test)
  for (let i = 0; i < 5; i++) test.join.frame(test.tap.see(link.next('in', PINGREQ)))
  t.equal(test.join.held, 3)
  t.same(test.take(), ['frame in none', 'frame in none'])
  test.tell(...connection.pass('in', Buffer.concat(Array(5).fill(PINGREQ))))
  t.same(test.take(), [
    ...Array<string>(2).fill('packet in none c0 of 1'),
    ...Array<string>(3).fill('frame in exact c0 of 1')
  ])
  t.equal(test.join.counters.packetsLate, 2)
})

t.test('caps: an overflow that pushes out what was final costs nothing', async t => {
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
  for (const segment of frames) test.join.frame(test.tap.see(segment))
  t.same(test.take(), ['frame in exact 30 of 1', 'empty in exact'])
  test.join.release()
  t.same(test.take(), [], 'the others still wait')
  test.tell(...connection.pass('in', Buffer.concat(Array(3).fill(PINGREQ))))
  t.same(test.take(), Array(3).fill('frame in exact c0 of 1'))
})

t.test('caps: packets that wait', async t => {
  const test = tapped({ packetsPerConnection: 4 })
  const { connection } = established(test)
  for (let i = 0; i < 4; i++) test.tell(...connection.pass('in', PINGREQ))
  t.same(test.take(), [])
  test.tell(...connection.pass('in', PINGREQ))
  t.same(test.take(), Array(5).fill('packet in none c0 of 1'))
})

t.test('caps: streams without a connection', async t => {
  const test = tapped({ unboundStreams: 3 })
  const links = Array.from({ length: 5 }, (_, i) => new Link(40_000 + i))
  for (const link of links) test.see(...link.handshake())
  t.equal(sizes(test.join), '0 0 3')
  test.take()
  for (const [i, link] of links.entries()) {
    const connection = new TestConnection(i + 1, link.port)
    test.tell(connection.open(), ...connection.pass('in', HELLO))
    test.see(link.next('in', HELLO))
    t.same(test.take(), ['frame in exact 30 of 1'], 'one that was forgotten is found again by its next frame')
  }
  t.equal(sizes(test.join), '5 0 0')
})

t.test(
  'several packets that end at one place, as in a TLS record, go to one frame, however late the last is told',
  async t => {
    const { test, link, tell } = encrypted()
    test.see(link.next('in', Buffer.alloc(100, 23)), link.next('in', Buffer.alloc(50, 23)))
    tell(100, 0, false)
    tell(100, 1, false)
    t.same(test.take(), [], 'a third one may follow')
    tell(100, 2, true)
    t.same(test.take(), ['frame in tls 30 of 3'])
    tell(150, 3, true)
    t.same(test.take(), ['frame in tls 30 of 1'], 'bytes that are no MQTT contradict nothing')
  }
)

t.test('a dropped packet among several that end at one place costs that frame, and no other', async t => {
  for (const dropped of [0, 1, 2, 3]) {
    const { test, link, tell, mark } = encrypted()
    test.see(
      link.next('in', Buffer.alloc(60, 23)),
      link.next('in', Buffer.alloc(100, 23)),
      link.next('in', Buffer.alloc(50, 23))
    )
    tell(60, 0, true)
    t.same(test.take(), ['frame in tls 30 of 1'])
    for (const ordinal of [1, 2, 3]) if (ordinal !== dropped) tell(160, ordinal, false)
    mark(160, 4)
    t.same(test.take(), [dropped === 0 ? 'frame in tls 30 of 3' : 'frame in none'])
    tell(210, 4, true)
    t.same(test.take(), ['frame in tls 30 of 1'])
  }
})

t.test(
  'a WebSocket frame cannot begin with any byte: where it does, the connection is not where it was thought to be',
  async t => {
    const { test, link, tell } = encrypted('websocket')
    const frame = (first: number): Buffer => Buffer.concat([Buffer.of(first), Buffer.alloc(59, 0x61)])
    test.see(link.next('in', Buffer.concat([frame(0x82), frame(0x82).subarray(0, 9)])))
    tell(60, 0, true)
    tell(120, 1, true)
    t.same(test.take(), ['frame in websocket 30 of 1'])
    test.see(link.next('in', Buffer.concat([frame(0x82).subarray(9), frame(0x65)])))
    tell(180, 2, true)
    t.same(test.take(), ['packet in none 30 of 1', 'packet in none 30 of 1'])
    t.equal(test.join.counters.mismatches, 1)
  }
)

/** A connection over TLS or WebSocket, its handshake seen, of which the broker tells by offsets of the TCP stream. */
function encrypted(carrier: 'tls' | 'websocket' = 'tls') {
  const test = tapped()
  const link = new Link()
  const connection = new TestConnection(1)
  test.tell(connection.open(carrier))
  test.see(...link.handshake())
  test.take()
  const [hello] = connection.pass('in', HELLO)
  if (hello.kind !== 'packet') throw new Error('a whole packet')
  return {
    test,
    link,
    tell: (end: number, ordinal: number, last: boolean) => {
      test.tell({ ...hello, packet: { ...hello.packet, end }, ordinal, last })
    },
    mark: (offset: number, ordinal: number) => {
      test.tell({ kind: 'mark', connection: 1, direction: 'in', time: 0, begin: offset, offset, ordinal })
    }
  }
}
