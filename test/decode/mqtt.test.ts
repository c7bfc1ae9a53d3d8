// MQTT walker: all packets of all versions, in chunks of any size, and arbitrary bytes.
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { MqttWalker } from '../../src/decode/mqtt.js'
import type { MqttBody } from '../../src/decode/mqtt.js'
import { isBoundaryChain } from '../../src/decode/mqtt-boundary.js'
import type { MqttPacket } from '../../src/types.js'
import { CONNACK, PINGREQ, PUBACK, connect, packet, publish, subscribe, text } from './craft-mqtt.js'

function walkerOf(version = 0, { topicCapBytes = 1000, payloadCapBytes = 1000 } = {}): MqttWalker {
  return new MqttWalker({ topicCapBytes, payloadCapBytes, session: { version } })
}

/** A packet with its bytes copied, as text where that is readable. */
function plain(packet: MqttPacket): object {
  const { topic, payload, ...rest } = packet
  return { ...rest, topic: topic && Buffer.from(topic).toString(), payload: payload && Buffer.from(payload).toString() }
}

/** Pushes chunks, each in its own buffer that is overwritten afterwards. */
function walk(walker: MqttWalker, ...portions: Uint8Array[]): object[] {
  const packets: object[] = []
  for (const portion of portions) {
    const copy = Buffer.from(portion)
    walker.push(copy, packet => packets.push(plain(packet)))
    copy.fill(0xff)
  }
  return packets
}

const userProperty = Buffer.concat([Buffer.from([38]), text('k'), text('v')])

const conversations: Record<string, { version: number; stream: Buffer[]; expected: object[] }> = {
  'MQTT 3.1.1': {
    version: 0,
    stream: [
      connect(4),
      publish('a/b', 'hello'),
      publish('q', '', { qos: 1 }),
      subscribe(['first/#', 'second']),
      packet(0xa2, Buffer.concat([Buffer.from([0, 8]), text('off')])),
      PINGREQ,
      PUBACK,
      publish('long', Buffer.alloc(300, 'x'), { qos: 2 }),
      packet(0xe0)
    ],
    expected: [
      { header: 0x10, topicLength: null, topic: null, payload: null, payloadLength: 0 },
      { header: 0x30, remainingLength: 10, size: 12, topicLength: 3, topic: 'a/b', payload: 'hello', payloadLength: 5 },
      { header: 0x32, remainingLength: 5, topicLength: 1, topic: 'q', payload: '', payloadLength: 0 },
      { header: 0x82, topicLength: 7, topic: 'first/#', payload: null },
      { header: 0xa2, topicLength: 3, topic: 'off', payload: null },
      { header: 0xc0, remainingLength: 0, size: 2, topicLength: null },
      { header: 0x40, remainingLength: 2, size: 4 },
      { header: 0x34, remainingLength: 308, size: 311, topicLength: 4, payload: 'x'.repeat(300), payloadLength: 300 },
      { header: 0xe0 }
    ]
  },
  'MQTT 5': {
    version: 0,
    stream: [
      connect(5),
      publish('a', 'one', { properties: userProperty }),
      publish('a', 'two', { qos: 1, properties: Buffer.alloc(0) }),
      publish('', 'alias', { properties: Buffer.from([35, 0, 1]) }),
      subscribe(['s/+'], { properties: userProperty }),
      publish('p', 'far', { properties: null }).subarray(0, 0),
      packet(0x30, Buffer.concat([text('big'), Buffer.from([0x80, 1]), Buffer.alloc(128, 1), Buffer.from('end')]))
    ],
    expected: [
      { header: 0x10 },
      { header: 0x30, topic: 'a', payload: 'one' },
      { header: 0x32, topic: 'a', payload: 'two' },
      { header: 0x30, topicLength: 0, topic: '', payload: 'alias' },
      { header: 0x82, topicLength: 3, topic: 's/+' },
      { header: 0x30, topic: 'big', payload: 'end', payloadLength: 3 }
    ]
  },
  'malformed packets': {
    version: 4,
    stream: [
      packet(0x30, Buffer.from([0, 9, 97])),
      packet(0x30, Buffer.from([0])),
      packet(0x30),
      packet(0x32, Buffer.concat([text('t'), Buffer.from([1])])),
      packet(0x82, Buffer.from([0])),
      packet(0x82, Buffer.from([0, 1, 0, 200, 97])),
      packet(0x10, Buffer.from([0, 4, 77])),
      packet(0x10),
      packet(0x00, Buffer.from('zero')),
      packet(0xf0),
      packet(0x36, Buffer.concat([text('q3'), Buffer.from([0, 1, 33])])),
      PINGREQ
    ],
    expected: [
      { header: 0x30, topicLength: 9, payload: null, payloadLength: 0 },
      { header: 0x30, topicLength: null, topic: null, payload: null },
      { header: 0x30, remainingLength: 0, topicLength: null },
      { header: 0x32, topicLength: 1, topic: 't', payload: null },
      { header: 0x82, topicLength: null },
      { header: 0x82, topicLength: 200 },
      { header: 0x10 },
      { header: 0x10 },
      { header: 0x00 },
      { header: 0xf0 },
      { header: 0x36, topic: 'q3', payload: '!' },
      { header: 0xc0 }
    ]
  }
}

for (const [name, { version, stream, expected }] of Object.entries(conversations)) {
  t.test(name, async t => {
    const bytes = Buffer.concat(stream)
    const allPackets = walk(walkerOf(version), bytes)
    t.match(allPackets, expected)
    t.equal(allPackets.length, expected.length)
    const ends = stream
      .filter(part => part.length > 0)
      .map((_, i, parts) => Buffer.concat(parts.slice(0, i + 1)).length)
    t.same(
      allPackets.map(packet => (packet as MqttPacket).end),
      ends
    )
    for (let cut = 1; cut < bytes.length; cut++) {
      const walker = walkerOf(version)
      const split = walk(walker, bytes.subarray(0, cut))
      if (walker.boundary !== ends.includes(cut) || walker.offset !== cut) t.fail(`wrong boundary at ${cut}`)
      split.push(...walk(walker, bytes.subarray(cut)))
      if (JSON.stringify(split) !== JSON.stringify(allPackets)) t.same(split, allPackets, `split at ${cut}`)
    }
    t.same(walk(walkerOf(version), ...Array.from(bytes, byte => Buffer.from([byte]))), allPackets, 'byte by byte')
  })
}

t.test('applies the version of the CONNECT to both directions', async t => {
  const session = { version: 0 }
  const inbound = new MqttWalker({ topicCapBytes: 10, payloadCapBytes: 10, session })
  const outbound = new MqttWalker({ topicCapBytes: 10, payloadCapBytes: 10, session })
  walk(inbound, connect(5))
  t.equal(session.version, 5)
  t.match(walk(outbound, publish('t', 'p', { properties: userProperty })), [{ payload: 'p' }])
  walk(inbound, connect(3))
  t.equal(session.version, 3)
})

t.test('truncates topic and payload at their limits but keeps their lengths', async t => {
  const stream = publish('abcdefgh', Buffer.alloc(5000, 'y'))
  for (const portions of [[stream], [stream.subarray(0, 6), stream.subarray(6, 700), stream.subarray(700)]]) {
    const walker = walkerOf(4, { topicCapBytes: 3, payloadCapBytes: 1024 })
    t.match(walk(walker, ...portions), [
      { topicLength: 8, topic: 'abc', payload: 'y'.repeat(1024), payloadLength: 5000 }
    ])
  }
})

t.test('allocates memory for received bytes, not for the declared length', async t => {
  const walker = walkerOf(4, { payloadCapBytes: 268_435_455 })
  const before = process.memoryUsage().arrayBuffers
  walk(walker, Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 97]), Buffer.alloc(1000))
  t.equal(walker.declared, 268_435_455 + 5)
  t.ok(process.memoryUsage().arrayBuffers - before < 1_000_000)
})

t.test('releases the bytes of finished packets', async t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const walkers = [walkerOf(4), walkerOf(4, { topicCapBytes: 3, payloadCapBytes: 10 })]
  const portions = walkers.map(walker => {
    const portion = Buffer.from(new Uint8Array(publish('a/b', Buffer.alloc(9_000, 'x'))))
    walker.push(portion, () => {})
    return new WeakRef(portion.buffer)
  })
  // Referenced bytes are kept alive until the end of the event loop turn.
  const bound = Date.now() + 10_000
  while (portions.some(portion => portion.deref() !== undefined) && Date.now() < bound) {
    await setImmediate()
    collect()
  }
  t.same(
    portions.map(portion => portion.deref()),
    [undefined, undefined]
  )
  t.ok(walkers.every(({ boundary }) => boundary))
})

t.test('walkers that share a pool of bodies keep their packets apart', async t => {
  const spare: MqttBody[] = []
  const walkers = [1, 2, 3].map(
    () => new MqttWalker({ topicCapBytes: 100, payloadCapBytes: 100, session: { version: 4 }, spare })
  )
  const streams = walkers.map((_, i) =>
    Buffer.concat([publish(`topic/${i}`, `payload ${i}`), subscribe([`f/${i}`]), publish('second', `${i}${i}`)])
  )
  const packets: object[][] = walkers.map(() => [])
  for (let at = 0; at < streams[0].length; at++) {
    walkers.forEach((walker, i) => {
      packets[i].push(...walk(walker, streams[i].subarray(at, at + 1)))
    })
  }
  t.match(
    packets,
    walkers.map((_, i) => [
      { topic: `topic/${i}`, payload: `payload ${i}` },
      { topic: `f/${i}` },
      { topic: 'second', payload: `${i}${i}` }
    ])
  )
  t.equal(spare.length, 3, 'as many as had a packet in progress at the same time')
})

t.test('reports the declared size once the fixed header is complete', async t => {
  const walker = walkerOf(4)
  const stream = publish('t', Buffer.alloc(300))
  walk(walker, stream.subarray(0, 2))
  t.equal(walker.declared, 0)
  walk(walker, stream.subarray(2, 3))
  t.equal(walker.declared, stream.length)
  walk(walker, stream.subarray(3))
  t.equal(walker.declared, 0)
})

t.test('stops at a remaining length of five bytes', async t => {
  const walker = walkerOf(4)
  t.match(walk(walker, PINGREQ, Buffer.from([0x30, 0x80, 0x80, 0x80]), Buffer.from([0x80, 0x01]), PINGREQ), [
    { header: 0xc0 }
  ])
  t.ok(walker.malformed)
  t.notOk(walker.boundary)
  t.equal(walker.declared, 0)
  t.equal(walker.offset, 10)
})

t.test('stays synchronised after a gap inside a packet of known length', async t => {
  const stream = Buffer.concat([publish('topic', Buffer.alloc(100, 'z')), PINGREQ])
  const end = stream.length - PINGREQ.length
  for (let from = 2; from < end; from++) {
    const walker = walkerOf(4)
    const packets: object[] = walk(walker, stream.subarray(0, from))
    walker.skip(end - from, packet => packets.push(plain(packet)))
    if (!walker.boundary || walker.lost) t.fail(`lost synchronisation with a gap from ${from}`)
    packets.push(...walk(walker, stream.subarray(end)))
    const first = packets[0] as MqttPacket
    if (packets.length !== 2 || first.end !== end || first.payload !== null) t.same(packets, [], `gap from ${from}`)
    if (first.topicLength !== (from >= 4 ? 5 : null))
      t.equal(first.topicLength, 5, `topic length with a gap from ${from}`)
  }
  const inside = walkerOf(4)
  walk(inside, stream.subarray(0, 20))
  inside.skip(30)
  t.match(walk(inside, stream.subarray(50)), [
    { header: 0x30, payload: null, payloadLength: 100, topic: 'topic' },
    { header: 0xc0 }
  ])
})

t.test('keeps topic and payload if the gap is beyond the kept payload', async t => {
  const stream = publish('t', Buffer.alloc(100, 'k'))
  const walker = walkerOf(4, { payloadCapBytes: 10 })
  walk(walker, stream.subarray(0, 50))
  walker.skip(20)
  t.match(walk(walker, stream.subarray(70)), [{ payload: 'k'.repeat(10), payloadLength: 100 }])
})

t.test('loses synchronisation after a gap across a boundary until the caller resynchronises', async t => {
  for (const before of [0, 1, 2]) {
    const walker = walkerOf(4)
    const packets: object[] = walk(walker, PUBACK.subarray(0, before))
    walker.skip(10, packet => packets.push(plain(packet)))
    t.ok(walker.lost)
    t.equal(packets.length, before === 2 ? 1 : 0, 'a packet that ends inside the gap is reported')
    t.same(walk(walker, PINGREQ), [])
    walker.resync()
    t.match(walk(walker, PINGREQ), [{ header: 0xc0, end: before + 14 }])
  }
})

t.test('accepts arbitrary bytes', async t => {
  let seed = 11
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff
    return (seed >> 8) % below
  }
  for (let round = 0; round < 3000; round++) {
    const walker = walkerOf(random(6))
    let end = 0
    for (let i = 0; i < 6; i++) {
      const bytes = Buffer.from(Array.from({ length: random(60) }, () => (random(3) === 0 ? random(256) : random(8))))
      const onPacket = (packet: MqttPacket): void => {
        if (packet.end <= end || packet.size < 2 || packet.payloadLength < 0) t.fail('impossible packet')
        end = packet.end
      }
      if (random(4) === 0) walker.skip(bytes.length, onPacket)
      else walker.push(bytes, onPacket)
      if (random(8) === 0 && !walker.malformed) walker.resync()
    }
  }
  t.pass('nothing thrown')
})

t.test('recognises packet boundaries for resynchronisation', async t => {
  const chain = Buffer.concat([PUBACK, publish('t/x', 'payload', { qos: 1 }), PINGREQ])
  t.ok(isBoundaryChain(chain, 'in', 4))
  t.notOk(isBoundaryChain(chain.subarray(0, -1), 'in', 4), 'ends beyond the segment')
  t.notOk(isBoundaryChain(chain.subarray(1), 'in', 4), 'starts inside a packet')
  t.notOk(isBoundaryChain(PINGREQ, 'out', 4), 'a broker sends no PINGREQ')
  t.notOk(isBoundaryChain(CONNACK, 'in', 4), 'a client sends no CONNACK')
  t.notOk(isBoundaryChain(packet(0x36, publish('t', 'x', { qos: 1 }).subarray(2)), 'in', 4), 'QoS 3')
  t.notOk(isBoundaryChain(publish('a/#', 'x'), 'in', 4), 'a wildcard in a topic')
  t.notOk(
    isBoundaryChain(Buffer.from('0123456789012345678901234567890123456789012345678901'), 'in', 4),
    'digits of a payload'
  )
  t.notOk(isBoundaryChain(packet(0x40, Buffer.from([0, 1, 16, 0])), 'out', 4))
  t.ok(isBoundaryChain(packet(0x40, Buffer.from([0, 1, 16, 0])), 'out', 5), 'a reason code in MQTT 5')
  t.notOk(isBoundaryChain(Buffer.alloc(0), 'in', 4))
})
