// The join from a capture alone: which frame completes which packets.
import t from 'tap'
import { TcpStreams } from '../../src/decode/tcp-streams.js'
import { DecodedJoin } from '../../src/join/decoded.js'
import type { CompletedPackets } from '../../src/join/decoded.js'
import type { CapturedFrame, TcpFrame } from '../../src/types.js'
import { ACK, PORTS, SYN, Talk, captured, decodeTcp } from '../decode/craft.js'
import { CONNACK, PINGREQ, PINGRESP, PUBACK, connect, publish, subscribe } from '../decode/craft-mqtt.js'

/** Joins frames in the given order. */
function joined(frames: readonly CapturedFrame[], join = new DecodedJoin()): CompletedPackets[] {
  const streams = new TcpStreams(PORTS)
  return frames.map((frame, i) => {
    const result = join.push(streams.push(decodeTcp(frame, i + 1, PORTS) as TcpFrame))
    const payload = result.packet?.payload
    return { ...result, packet: result.packet && { ...result.packet, payload: payload ? Buffer.from(payload) : null } }
  })
}

/** Headers of the packets found; null if a frame completes none. */
function headers(results: readonly CompletedPackets[]): (number | null)[] {
  return results.map(({ packet }) => packet?.header ?? null)
}

t.test('a conversation', async t => {
  const talk = new Talk().open()
  talk.send('in', connect())
  talk.send('out', CONNACK)
  talk.send('in', Buffer.concat([subscribe(['a/#']), publish('a/b', 'x'), PINGREQ]))
  talk.send('out', Buffer.alloc(0), ACK)
  const results = joined(talk.frames)
  t.same(headers(results), [null, null, null, 0x10, 0x20, 0x82, null])
  t.same(
    results.map(({ completed }) => completed),
    [0, 0, 0, 1, 1, 3, 0]
  )
  t.ok(results.every(({ join }) => join === 'decoded'))
})

t.test('a packet belongs to the frame with its last byte', async t => {
  const stream = Buffer.concat([publish('t', Buffer.alloc(50, 'p')), PINGREQ])
  for (let cut = 1; cut < stream.length; cut++) {
    const talk = new Talk().open()
    talk.send('in', stream.subarray(0, cut))
    talk.send('in', stream.subarray(cut))
    const [first, second] = joined(talk.frames).slice(3)
    const end = stream.length - 2
    const expected = cut < end ? [0, 2] : [1, 1]
    if (first.completed !== expected[0] || second.completed !== expected[1])
      t.same([first, second], expected, `cut at ${cut}`)
    if ((first.packet ?? second.packet)?.payload?.length !== 50) t.fail(`payload cut at ${cut}`)
  }
})

t.test('out of order, repeated and missing segments', async t => {
  const talk = new Talk().open()
  const one = talk.send('in', publish('t', 'one'))
  const two = talk.send('in', publish('t', 'two'))
  const three = talk.send('in', publish('t', 'three'))
  const opening = talk.frames.slice(0, 3)
  const results = joined([...opening, two, three, one, one, two])
  t.same(
    results.slice(3).map(({ completed }) => completed),
    [0, 0, 3, 0, 0]
  )
  t.equal(results[5]?.packet?.payload?.toString(), 'one', 'the first in stream order, not in time')
})

t.test('after a gap, decoding resumes at a segment that consists of whole packets', async t => {
  const talk = new Talk().open()
  talk.send('in', publish('t', Buffer.alloc(90)).subarray(0, 40))
  talk.send('in', Buffer.alloc(70, 1))
  const missed = talk.frames.pop()
  t.ok(missed)
  talk.send('in', publish('t', Buffer.alloc(60, 'y')).subarray(20))
  talk.send('out', Buffer.alloc(0), ACK)
  talk.send('in', Buffer.concat([PUBACK, publish('again', 'z')]))
  talk.send('in', publish('more', 'z'))
  const join = new DecodedJoin()
  const results = joined(talk.frames, join)
  t.match(
    results.slice(-2),
    [{ completed: 3, packet: { header: 0x30, payload: null, payloadLength: 90 } }, { completed: 1 }],
    'the packet that ends in the gap is known, the next ones only from the next certain boundary'
  )
  t.equal(join.counters.resumed, 1)
})

t.test('a capture that starts mid-stream', async t => {
  const talk = new Talk()
  talk.send('in', publish('t', Buffer.alloc(60, 'y')).subarray(20))
  talk.send('in', publish('t', 'whole'))
  talk.send('out', Buffer.concat([PINGRESP, publish('u', 'down')]))
  talk.send('in', publish('t', Buffer.alloc(30)).subarray(0, 20))
  talk.send('in', publish('t', Buffer.alloc(30)).subarray(20))
  t.same(headers(joined(talk.frames)), [null, 0x30, 0xd0, null, 0x30])
})

t.test('a stream that starts with a TLS record has no MQTT', async t => {
  const hello = Buffer.concat([Buffer.from([0x16, 3, 1, 2, 0]), Buffer.alloc(512)])
  for (const cut of [0, 1, 2, 3, 4]) {
    const talk = new Talk().open()
    if (cut > 0) talk.send('in', hello.subarray(0, cut))
    talk.send('in', hello.subarray(cut))
    talk.send('out', Buffer.concat([Buffer.from([0x16, 3, 3, 0, 100]), Buffer.alloc(100)]))
    talk.send('in', PINGREQ)
    const join = new DecodedJoin()
    const results = joined(talk.frames, join)
    t.ok(
      results.every(({ packet }) => packet === null),
      `cut at ${cut}`
    )
    t.equal(results.at(-1)?.join, 'none')
    t.equal(join.counters.tlsStreams, 1)
  }
  const other = new Talk().open()
  other.send('in', Buffer.from([0x16, 3, 9, 0, 0]))
  t.equal(joined(other.frames).at(-1)?.join, 'decoded', 'the third byte decides')
})

t.test('a remaining length of five bytes stops decoding of that direction only', async t => {
  const talk = new Talk().open()
  talk.send('in', Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1]))
  talk.send('in', PINGREQ)
  talk.send('out', PINGRESP)
  const join = new DecodedJoin()
  t.same(headers(joined(talk.frames, join)).slice(3), [null, null, 0xd0])
  t.equal(join.counters.malformed, 1)
})

t.test('frames truncated by the snap length keep the packet boundaries', async t => {
  const talk = new Talk().open()
  talk.send('in', publish('topic', Buffer.alloc(200, 'x')))
  talk.send('in', publish('topic', 'short'))
  const frames = talk.frames.map(({ bytes, ...frame }) =>
    captured(bytes.subarray(0, 64), { ...frame, time: 0, wireLength: bytes.length })
  )
  t.match(joined(frames).slice(3), [
    { completed: 1, packet: { header: 0x30, topicLength: 5, payload: null, payloadLength: 200 } },
    { completed: 1, packet: { header: 0x30, topicLength: 5, payload: null, payloadLength: 5 } }
  ])
})

t.test('a reused tuple starts again, with TLS or without', async t => {
  const first = new Talk().open()
  first.send('in', Buffer.from([0x16, 3, 1, 0, 0]))
  const again = new Talk(40_000, 10)
  again.send('in', Buffer.alloc(0), SYN)
  // The same tuple with another initial sequence number.
  const frames = again.frames.map(frame => {
    const bytes = Buffer.from(frame.bytes)
    bytes.writeUInt32BE(90_000, 14 + 20 + 4)
    return { ...frame, bytes }
  })
  const data = new Talk(40_000, 11).send('in', connect())
  const bytes = Buffer.from(data.bytes)
  bytes.writeUInt32BE(90_001, 14 + 20 + 4)
  t.same(headers(joined([...first.frames, ...frames, { ...data, bytes }])), [null, null, null, null, null, 0x10])
})
