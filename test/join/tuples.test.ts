// Tuples that are used again, or that are not what they seem: bound only where there is no doubt.

import t from 'tap'
import { publish, PINGREQ, subscribe } from '../decode/craft-mqtt.js'
import { Link, tapped, TestConnection } from './wire.js'

const HELLO = publish('a', 'hello')

function two(): [Link, Link] {
  return [new Link(40_000, { in: 1_000, out: 2_000 }), new Link(40_000, { in: 700_000, out: 800_000 })]
}

t.test('a stream that was never handed to the broker is not taken for the next one of its tuple', async t => {
  // As where a TLS handshake fails, or a listener refuses.
  const test = tapped()
  const [refused, accepted] = two()
  const connection = new TestConnection(1, 40_000, test.clock)
  test.see(
    ...refused.handshake(),
    refused.next('in', HELLO),
    refused.fin('in'),
    ...accepted.handshake(),
    accepted.next('in', HELLO)
  )
  test.tell(connection.open(), ...connection.pass('in', HELLO))
  t.notOk(
    test.take().some(record => record.includes('exact 30')),
    'nobody can tell which of the two it is'
  )
  for (let i = 0; i < 5; i++) test.pass(501)
  t.notOk(test.take().some(record => record.includes('exact 30')))
  t.ok(test.join.counters.connectionsUnseen === 1 && test.join.held === 0)
})

t.test('a stream that has ended waits for the connection to end, too', async t => {
  const test = tapped()
  const [refused, accepted] = two()
  test.see(...refused.handshake(), refused.next('in', HELLO), refused.fin('in'))
  const connection = new TestConnection(1, 40_000, test.clock)
  test.tell(connection.open(), ...connection.pass('in', HELLO))
  t.notOk(
    test.take().some(record => record.includes('exact 30')),
    'the tap lags: this may be the next stream'
  )
  test.see(...accepted.handshake(), accepted.next('in', HELLO))
  for (let i = 0; i < 5; i++) test.pass(501)
  t.notOk(test.take().some(record => record.includes('exact 30')))

  const sound = tapped()
  const [short] = two()
  sound.see(...short.handshake(), short.next('in', HELLO), short.fin('in'))
  const brief = new TestConnection(1, 40_000, sound.clock)
  sound.tell(brief.open(), ...brief.pass('in', HELLO), brief.close())
  t.ok(sound.take().includes('frame in exact 30 of 1'), 'a short connection is joined when it is closed')
})

t.test('one that nobody accepted long ago does not stand in the way', async t => {
  const test = tapped()
  const [refused, accepted] = two()
  test.see(...refused.handshake(), refused.next('in', HELLO))
  test.pass(1_001)
  test.see(...accepted.handshake(), accepted.next('in', HELLO))
  const connection = new TestConnection(1, 40_000, test.clock)
  test.tell(connection.open(), ...connection.pass('in', HELLO))
  t.equal(test.take().at(-1), 'frame in exact 30 of 1')
})

t.test('a connection that outlives its stream was never that stream', async t => {
  const test = tapped()
  const [first, second] = two()
  test.see(...first.handshake())
  const connection = new TestConnection(1, 40_000, test.clock)
  test.tell(connection.open())
  // The tuple opens another stream, and the broker says nothing of an end.
  test.see(...second.handshake())
  for (let i = 0; i < 5; i++) test.pass(501)
  t.same(test.reasons, ['mismatch'])
  test.take()
  test.tell(...connection.pass('in', HELLO))
  t.same(test.take(), ['packet in none 30 of 1'])
})

t.test('a client that comes again at once by the same port is joined each time', async t => {
  const test = tapped()
  for (let i = 0; i < 50; i++) {
    const link = new Link(40_000, { in: i * 1_000_003, out: i * 999_983 })
    const connection = new TestConnection(i, 40_000, test.clock)
    const packet = i % 2 === 0 ? HELLO : subscribe(['a'])
    test.see(...link.handshake(), link.next('in', packet))
    test.tell(connection.open(), ...connection.pass('in', packet))
    test.see(link.fin('in'), link.fin('out'))
    test.tell(connection.close())
    t.ok(
      test.take().some(record => record === `frame in exact ${i % 2 === 0 ? '30' : '82'} of 1`),
      `connection ${i}`
    )
  }
  t.match(test.join.counters, { framesJoined: 50, framesUnjoined: 0, mismatches: 0, connectionsUnseen: 0 })
})

t.test('addresses that are translated on the way: a word on it, and join none', async t => {
  const test = tapped()
  // The tap sees the address that a NAT gave the client, the broker another.
  const [inside] = [new Link(51_000)]
  const connection = new TestConnection(1, 40_000, test.clock)
  test.see(...inside.handshake(), inside.next('in', HELLO))
  test.tell(connection.open(), ...connection.pass('in', HELLO))
  for (let i = 0; i < 5; i++) test.pass(501)
  test.see(inside.next('in', PINGREQ))
  test.tell(...connection.pass('in', PINGREQ))
  test.pass(1)
  const records = test.take()
  t.same(
    records.filter(record => record.startsWith('packet')),
    ['packet in none 30 of 1', 'packet in none c0 of 1']
  )
  t.notOk(records.some(record => record.includes('exact')))
  t.same(test.reasons, ['unseen'])
})
