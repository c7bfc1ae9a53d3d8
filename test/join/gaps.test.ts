// Frames that the tap did not capture: their packets become separate records and join no other frame.

import t from 'tap'
import { PINGREQ, publish } from '../decode/craft-mqtt.js'
import { ACK } from '../decode/craft.js'
import { Link, TestConnection, TestJoin } from './wire.js'

const [FIRST, SECOND, THIRD] = ['first', 'the second', 'a third one'].map(text => publish('a', text))

function established() {
  const test = new TestJoin()
  test.join.tapUp()
  const link = new Link()
  const connection = new TestConnection(1, 40_000, test.clock)
  test.report(connection.open())
  test.capture(...link.handshake())
  test.take()
  return { test, link, connection }
}

/** The other side acknowledges all data. */
function acknowledgement(link: Link) {
  const segment = link.segment('out', 0, new Uint8Array(0), ACK)
  return { ...segment, acknowledgement: link.segment('in', link.sent.in).sequence }
}

t.test('packets of a missing frame do not join a later frame', async t => {
  const { test, link, connection } = established()
  link.next('in', FIRST)
  test.capture(link.next('in', SECOND))
  test.report(...connection.pass('in', FIRST), ...connection.pass('in', SECOND))
  t.same(test.take(), ['frame in exact'], 'too early to decide what it completes')
  test.capture(acknowledgement(link))
  test.capture(link.next('in', THIRD))
  test.report(...connection.pass('in', THIRD))
  t.same(test.take(), ['empty out exact', 'packet in none 30 of 1', 'packet in none 30 of 1', 'frame in exact 30 of 1'])
  t.match(test.join.counters, { packetsUnseen: 2, packetsAlone: 2, framesJoined: 1 })
})

t.test('packets of a missing frame do not join a frame without data', async t => {
  const { test, link, connection } = established()
  link.next('in', FIRST)
  test.capture(link.next('in', SECOND))
  test.report(...connection.pass('in', FIRST), ...connection.pass('in', SECOND))
  test.capture(acknowledgement(link), link.segment('in', link.sent.in, new Uint8Array(0), ACK))
  t.same(test.take(), [
    'frame in exact',
    'empty out exact',
    'packet in none 30 of 1',
    'packet in none 30 of 1',
    'empty in exact'
  ])
})

t.test('a late frame completes the packets that waited for it, as in a full capture', async t => {
  const { test, link, connection } = established()
  const late = link.next('in', FIRST)
  test.capture(link.next('in', SECOND), late)
  test.report(...connection.pass('in', FIRST), ...connection.pass('in', SECOND))
  test.capture(link.next('in', PINGREQ))
  test.report(...connection.pass('in', PINGREQ))
  t.same(test.take(), ['frame in exact', 'frame in exact 30 of 2', 'frame in exact c0 of 1'])
})

t.test('packets that arrive after their frame was given up become records', async t => {
  const { test, link, connection } = established()
  test.capture(link.next('in', FIRST))
  test.pass(60_000)
  t.same(test.take(), ['frame in none'])
  test.report(...connection.pass('in', FIRST))
  test.capture(link.next('in', SECOND))
  test.report(...connection.pass('in', SECOND))
  t.same(test.take(), ['packet in none 30 of 1', 'frame in exact 30 of 1'])
})
