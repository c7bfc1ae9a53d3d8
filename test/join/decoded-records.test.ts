// Records of a tap on another broker: client identity, and the detection's own messages.

import t from 'tap'
import { connectIdentity } from '../../src/decode/mqtt-connect.js'
import { DecodedRecords, type DecodedRecordsOptions } from '../../src/join/decoded-records.js'
import type { TrafficRecord } from '../../src/record.js'
import type { Direction } from '../../src/types.js'
import { connect, packet, publish, text } from '../decode/craft-mqtt.js'
import { Link, TestTap } from './wire.js'

function records(options: DecodedRecordsOptions, sent: readonly [Direction, Buffer][], port = 40_000): TrafficRecord[] {
  const [tap, link, decoded] = [new TestTap(), new Link(port), new DecodedRecords(options)]
  const segments = [...link.handshake(), ...sent.map(([direction, bytes]) => link.next(direction, bytes))]
  return segments.map(segment => decoded.record(tap.capture(segment)))
}

t.test('client id and user name are read from CONNECT, the password is not', async t => {
  const bytes = packet(
    0x10,
    Buffer.concat([
      text('MQTT'),
      Buffer.from([4, 0xc6, 0, 60]),
      text('boiler'),
      text('will/topic'),
      text('will'),
      text('alice'),
      text('secret')
    ])
  )
  const [first] = records({}, [['in', bytes]])
  t.match(first.peer, { clientId: 'boiler', username: 'alice', connection: null })
  t.notMatch(JSON.stringify(first.peer), /secret/)
  const five = packet(
    0x10,
    Buffer.concat([
      text('MQTT'),
      Buffer.from([5, 0x86, 0, 60, 5, 17, 0, 0, 0, 9]),
      text('five'),
      Buffer.from([0]),
      text('w'),
      text('x'),
      text('bob')
    ])
  )
  t.same(connectIdentity(five), { clientId: 'five', username: 'bob' })
  t.match(records({}, [['in', connect(5, 'plain')]])[0].peer, { clientId: 'plain', username: '' })
})

t.test('a truncated or random CONNECT gives no identity and throws no error', async t => {
  const bytes = connect(5, 'cut')
  for (let length = 0; length < bytes.length; length++)
    t.equal(connectIdentity(bytes.subarray(0, length)), null, `${length} bytes`)
  for (let i = 0; i < 2_000; i++)
    connectIdentity(Uint8Array.from({ length: i % 60 }, (_, n) => (i * 31 + n * n * 7) & 0xff))
})

t.test("the detection's own messages are not scored: on its own connection and to subscribers", async t => {
  const alert = publish('artemis/alerts', '{}')
  const options: DecodedRecordsOptions = { ownPrefix: 'artemis/', isOwn: ({ client }) => client.port === 40_001 }
  t.same(
    records(
      options,
      [
        ['in', connect()],
        ['in', alert]
      ],
      40_001
    ).map(({ own }) => own),
    [true, true, true, true, true],
    'its own connection'
  )
  t.same(
    records(options, [
      ['out', alert],
      ['out', publish('home/x', '1')]
    ]).map(({ own }) => own),
    [false, false, false, true, false],
    'to a subscriber'
  )
  t.same(
    records(options, [['in', alert]])
      .map(({ own }) => own)
      .at(-1),
    false,
    'messages of other clients to these topics are scored'
  )
})
