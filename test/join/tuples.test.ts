// Reused and misleading tuples: bound only if unambiguous.

import t from 'tap'
import { publish, PINGREQ, subscribe } from '../decode/craft-mqtt.js'
import { Link, tapped, TestConnection } from './wire.js'

const HELLO = publish('a', 'hello')

function two(): [Link, Link] {
  return [new Link(40_000, { in: 1_000, out: 2_000 }), new Link(40_000, { in: 700_000, out: 800_000 })]
}

t.test('a flow that the broker never accepted is not matched to the next connection of its tuple', async t => {
  // For example after a failed TLS handshake, or a refusal by the listener.
  const test = tapped()
  const [refused, accepted] = two()
  const connection = new TestConnection(1, 40_000, test.clock)
  test.capture(
    ...refused.handshake(),
    refused.next('in', HELLO),
    refused.fin('in'),
    ...accepted.handshake(),
    accepted.next('in', HELLO)
  )
  test.report(connection.open(), ...connection.pass('in', HELLO))
  t.notOk(
    test.take().some(record => record.includes('exact 30')),
    'the two flows are ambiguous'
  )
  for (let i = 0; i < 5; i++) test.pass(501)
  t.notOk(test.take().some(record => record.includes('exact 30')))
  t.ok(test.join.counters.connectionsUnseen === 1 && test.join.held === 0)
})

t.test('a flow that has ended waits for its connection to end', async t => {
  const test = tapped()
  const [refused, accepted] = two()
  test.capture(...refused.handshake(), refused.next('in', HELLO), refused.fin('in'))
  const connection = new TestConnection(1, 40_000, test.clock)
  test.report(connection.open(), ...connection.pass('in', HELLO))
  t.notOk(
    test.take().some(record => record.includes('exact 30')),
    'the tap lags: this may be the next flow'
  )
  test.capture(...accepted.handshake(), accepted.next('in', HELLO))
  for (let i = 0; i < 5; i++) test.pass(501)
  t.notOk(test.take().some(record => record.includes('exact 30')))

  const sound = tapped()
  const [short] = two()
  sound.capture(...short.handshake(), short.next('in', HELLO), short.fin('in'))
  const brief = new TestConnection(1, 40_000, sound.clock)
  sound.report(brief.open(), ...brief.pass('in', HELLO), brief.close())
  t.ok(sound.take().includes('frame in exact 30 of 1'), 'a short connection is joined when it is closed')
})

t.test('an old flow that was never accepted does not block the tuple', async t => {
  const test = tapped()
  const [refused, accepted] = two()
  test.capture(...refused.handshake(), refused.next('in', HELLO))
  test.pass(1_001)
  test.capture(...accepted.handshake(), accepted.next('in', HELLO))
  const connection = new TestConnection(1, 40_000, test.clock)
  test.report(connection.open(), ...connection.pass('in', HELLO))
  t.equal(test.take().at(-1), 'frame in exact 30 of 1')
})

t.test('a connection that outlives its flow was bound to the wrong flow', async t => {
  const test = tapped()
  const [first, second] = two()
  test.capture(...first.handshake())
  const connection = new TestConnection(1, 40_000, test.clock)
  test.report(connection.open())
  // The tuple starts another flow, and the broker does not report a close.
  test.capture(...second.handshake())
  for (let i = 0; i < 5; i++) test.pass(501)
  t.same(test.reasons, ['mismatch'])
  test.take()
  test.report(...connection.pass('in', HELLO))
  t.same(test.take(), ['packet in none 30 of 1'])
})

t.test('a client that reconnects immediately from the same port is joined each time', async t => {
  const test = tapped()
  for (let i = 0; i < 50; i++) {
    const link = new Link(40_000, { in: i * 1_000_003, out: i * 999_983 })
    const connection = new TestConnection(i, 40_000, test.clock)
    const packet = i % 2 === 0 ? HELLO : subscribe(['a'])
    test.capture(...link.handshake(), link.next('in', packet))
    test.report(connection.open(), ...connection.pass('in', packet))
    test.capture(link.fin('in'), link.fin('out'))
    test.report(connection.close())
    t.ok(
      test.take().some(record => record === `frame in exact ${i % 2 === 0 ? '30' : '82'} of 1`),
      `connection ${i}`
    )
  }
  t.match(test.join.counters, { framesJoined: 50, framesUnjoined: 0, mismatches: 0, connectionsUnseen: 0 })
})

t.test('translated addresses: reported, and not joined', async t => {
  const test = tapped()
  // The tap captures the translated client address, the broker another.
  const [inside] = [new Link(51_000)]
  const connection = new TestConnection(1, 40_000, test.clock)
  test.capture(...inside.handshake(), inside.next('in', HELLO))
  test.report(connection.open(), ...connection.pass('in', HELLO))
  for (let i = 0; i < 5; i++) test.pass(501)
  test.capture(inside.next('in', PINGREQ))
  test.report(...connection.pass('in', PINGREQ))
  test.pass(1)
  const records = test.take()
  t.same(
    records.filter(record => record.startsWith('packet')),
    ['packet in none 30 of 1', 'packet in none c0 of 1']
  )
  t.notOk(records.some(record => record.includes('exact')))
  t.same(test.reasons, ['unseen'])
})
