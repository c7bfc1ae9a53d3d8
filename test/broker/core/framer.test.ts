// The framer returns complete packets in order for chunks of any size.

import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { Framer } from '../../../broker/core/framer.js'
import { Random } from '../../../models/random.js'
import { packet } from '../../decode/craft-mqtt.js'

/** Body sizes around each at which the remaining length takes another byte. */
const SIZES = [0, 1, 2, 126, 127, 128, 129, 16_383, 16_384, 16_385, 2_097_151, 2_097_152]
/** Limit of processor time: far above copying each byte twice, far below copying all bytes per chunk. */
const LINEAR_MS = 5_000

const random = new Random(1)

/** Creates a packet with a header and body that depend on the index. */
function packetOf(size: number, index: number): Buffer {
  return packet(((index % 15) + 1) << 4, Buffer.alloc(size, `${index}:`))
}

/** Takes all complete packets, and checks what the framer reports about them. */
function takeAll(framer: Framer): Buffer[] {
  const taken: Buffer[] = []
  for (;;) {
    const start = framer.next()
    if (start === undefined || start === 'malformed' || !start.isWhole) return taken
    const { header, length } = start
    const { bytes, start: at, from, to, header: again } = framer.take()
    const one = bytes.subarray(at, to)
    if (header !== one[0] || again !== header || length !== one.length)
      throw new Error(`packet ${header} of ${length} bytes is ${one.length} long`)
    // The body starts after the first byte below 0x80.
    if (one.subarray(1).findIndex(byte => byte < 0x80) + 2 !== from - at)
      throw new Error(`the body starts at ${from - at}`)
    taken.push(Buffer.from(one))
  }
}

function chunksOf(bytes: Buffer, size: () => number): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + size())
    chunks.push(Buffer.from(bytes.subarray(at, end)))
    at = end
  }
  return chunks
}

function takeFrom(chunks: readonly Buffer[]): Buffer[] {
  const framer = new Framer()
  return chunks.flatMap(chunk => {
    framer.push(chunk)
    return takeAll(framer)
  })
}

/** One line per packet, for a readable diff. */
function summaryOf(packets: readonly Buffer[]): string[] {
  return packets.map(
    one => `${one.length} ${one.subarray(0, 9).toString('hex')} ${createHash('sha1').update(one).digest('hex')}`
  )
}

t.test('a stream split at any two offsets', t => {
  const packets = [0, 2, 127, 0, 1, 0].map(packetOf)
  const stream = Buffer.concat(packets)
  let different = 0
  for (let first = 0; first <= stream.length; first++) {
    for (let second = first; second <= stream.length; second++) {
      const got = takeFrom(
        [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)].filter(
          ({ length }) => length > 0
        )
      )
      if (got.length !== packets.length || !got.every((one, i) => one.equals(packets[i]))) different++
    }
  }
  t.equal(different, 0)
  t.end()
})

t.test('remaining lengths of all sizes, in chunks of any size', t => {
  const packets = SIZES.map(packetOf)
  const stream = Buffer.concat(packets)
  const expected = summaryOf(packets)
  for (const size of [7, 1_000, 65_536, stream.length])
    t.same(summaryOf(takeFrom(chunksOf(stream, () => size))), expected, `chunks of ${size} bytes`)
  t.same(
    summaryOf(takeFrom(chunksOf(stream, () => 1 + random.integer(random.integer(2) === 0 ? 3 : 100_000)))),
    expected,
    'chunks of random size'
  )
  const short = Buffer.concat(packets.slice(0, 10))
  t.same(summaryOf(takeFrom(chunksOf(short, () => 1))), expected.slice(0, 10), 'in single bytes')
  t.end()
})

t.test('chunks pushed without a take are not lost', t => {
  const packets = Array.from({ length: 500 }, (_, i) => packetOf(random.integer(300), i))
  const framer = new Framer()
  const got: Buffer[] = []
  for (const chunk of chunksOf(Buffer.concat(packets), () => 1 + random.integer(200))) {
    framer.push(chunk)
    const start = framer.next()
    // Take at most one, and only sometimes.
    if (start !== undefined && start !== 'malformed' && start.isWhole && random.integer(3) === 0) {
      const { bytes, start: at, to } = framer.take()
      got.push(Buffer.from(bytes.subarray(at, to)))
    }
  }
  t.ok(got.length < packets.length)
  t.same(summaryOf([...got, ...takeAll(framer)]), summaryOf(packets))
  t.equal(framer.next(), undefined)
  t.end()
})

t.test('a packet has a length once its header is complete, and is whole with its last byte', t => {
  const bytes = packetOf(20_000, 2)
  const framer = new Framer()
  for (const byte of [0, 1, 2]) {
    framer.push(bytes.subarray(byte, byte + 1))
    t.equal(framer.next(), undefined, `${byte + 1} bytes are not enough`)
  }
  framer.push(bytes.subarray(3, 4))
  t.match(framer.next(), { header: 0x30, length: 20_004, isWhole: false })
  framer.push(bytes.subarray(4, -1))
  t.match(framer.next(), { header: 0x30, length: 20_004, isWhole: false })
  framer.push(bytes.subarray(-1))
  t.match(framer.next(), { header: 0x30, length: 20_004, isWhole: true })
  t.same(framer.next(), framer.next(), 'next is idempotent')
  t.same(summaryOf(takeAll(framer)), summaryOf([bytes]))
  t.end()
})

t.test('a remaining length of more than four bytes is malformed [MQTT-1.5.5-1]', t => {
  for (const cut of [1, 2, 3, 4, 5]) {
    const bytes = Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x7f])
    const framer = new Framer()
    framer.push(packetOf(1, 0))
    framer.push(bytes.subarray(0, cut))
    t.equal(takeAll(framer).length, 1, 'the packet before it is valid')
    t.equal(framer.next(), cut === 5 ? 'malformed' : undefined, `after ${cut} bytes`)
    framer.push(bytes.subarray(cut))
    t.equal(framer.next(), 'malformed')
  }
  const framer = new Framer()
  framer.push(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]))
  t.match(framer.next(), { length: 5 + 268_435_455, isWhole: false }, 'the maximum')
  t.end()
})

for (const [what, chunk, count, ask] of [
  ['a packet of 20 MB in 10,000 chunks', 2_000, 10_000, true],
  ['a packet of 200 kB in single bytes', 1, 200_000, true],
  ['100,000 packets in 10,000 chunks, taken together', 2_000, 10_000, false]
] as const) {
  t.test(`${what}: linear time`, t => {
    const bytes = ask
      ? packetOf(chunk * count - 5, 2)
      : Buffer.concat(Array.from({ length: count * 10 }, (_, i) => packetOf(chunk / 10 - 3, i)))
    const chunks = chunksOf(bytes, () => chunk)
    const framer = new Framer()
    const start = process.cpuUsage()
    let taken = 0
    for (const one of chunks) {
      framer.push(one)
      if (ask) taken += takeAll(framer).length
    }
    taken += takeAll(framer).length
    t.equal(taken, ask ? 1 : count * 10)
    t.ok(process.cpuUsage(start).user / 1_000 < LINEAR_MS)
    t.end()
  })
}

t.test('a packet in tiny chunks does not keep the chunks in memory', async t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const bytes = packetOf(20_000, 2)
  const framer = new Framer()
  // Each chunk of a socket takes about a hundred bytes of memory, even if it is tiny.
  const chunks = chunksOf(bytes, () => 1 + random.integer(3)).map(chunk => {
    const tiny = Buffer.from(new Uint8Array(chunk).buffer)
    framer.push(tiny)
    framer.next()
    return new WeakRef(tiny.buffer)
  })
  const kept = (): number => chunks.filter(chunk => chunk.deref() !== undefined).length
  const deadline = Date.now() + 10_000
  while (kept() > 20 && Date.now() < deadline) {
    await setImmediate()
    collect()
  }
  t.ok(kept() <= 20, `${kept()} of ${chunks.length} chunks are kept`)
  t.same(summaryOf(takeAll(framer)), summaryOf([bytes]))
})
