// Frames that the tap never saw: what the broker read from them is a record of its own, and no other frame's.

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
  test.tell(connection.open())
  test.see(...link.handshake())
  test.take()
  return { test, link, connection }
}

/** The other side acknowledges everything that was sent. */
function acknowledgement(link: Link) {
  const segment = link.segment('out', 0, new Uint8Array(0), ACK)
  return { ...segment, acknowledgement: link.segment('in', link.sent.in).sequence }
}

t.test('what waited for a frame that never came belongs to no later frame', async t => {
  const { test, link, connection } = established()
  link.next('in', FIRST)
  test.see(link.next('in', SECOND))
  test.tell(...connection.pass('in', FIRST), ...connection.pass('in', SECOND))
  t.same(test.take(), ['frame in exact'], 'too early to say what it completes')
  test.see(acknowledgement(link))
  test.see(link.next('in', THIRD))
  test.tell(...connection.pass('in', THIRD))
  t.same(test.take(), ['empty out exact', 'packet in none 30 of 1', 'packet in none 30 of 1', 'frame in exact 30 of 1'])
  t.match(test.join.counters, { packetsUnseen: 2, packetsAlone: 2, framesJoined: 1 })
})

t.test('nor to a frame without bytes', async t => {
  const { test, link, connection } = established()
  link.next('in', FIRST)
  test.see(link.next('in', SECOND))
  test.tell(...connection.pass('in', FIRST), ...connection.pass('in', SECOND))
  test.see(acknowledgement(link), link.segment('in', link.sent.in, new Uint8Array(0), ACK))
  t.same(test.take(), [
    'frame in exact',
    'empty out exact',
    'packet in none 30 of 1',
    'packet in none 30 of 1',
    'empty in exact'
  ])
})

t.test('a frame that comes late brings with it what waited for it, as in a full capture', async t => {
  const { test, link, connection } = established()
  const late = link.next('in', FIRST)
  test.see(link.next('in', SECOND), late)
  test.tell(...connection.pass('in', FIRST), ...connection.pass('in', SECOND))
  test.see(link.next('in', PINGREQ))
  test.tell(...connection.pass('in', PINGREQ))
  t.same(test.take(), ['frame in exact', 'frame in exact 30 of 2', 'frame in exact c0 of 1'])
})

t.test('packets whose frame was given up before the broker told of them are records as well', async t => {
  const { test, link, connection } = established()
  test.see(link.next('in', FIRST))
  test.pass(60_000)
  t.same(test.take(), ['frame in none'])
  test.tell(...connection.pass('in', FIRST))
  test.see(link.next('in', SECOND))
  test.tell(...connection.pass('in', SECOND))
  t.same(test.take(), ['packet in none 30 of 1', 'frame in exact 30 of 1'])
})
