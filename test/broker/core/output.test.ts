// Output to a client: one write per turn, in order, with bytes that do not change later.

import { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { messageOf } from '../../../broker/core/message.js'
import { Output } from '../../../broker/core/output.js'
import { publishBytes, publishHeaderBytes, writePublishHeader, type Delivery } from '../../../broker/core/wire.js'
import { Random } from '../../../models/random.js'

/** A connection that records writes, and can delay them. */
class Sink extends Duplex {
  /** Each call of `write`. */
  readonly writes: Buffer[] = []
  readonly passed: Buffer[] = []
  isSlow = false
  #resume: (() => void) | undefined

  override write(chunk: unknown, ...rest: unknown[]): boolean {
    this.writes.push(chunk as Buffer)
    return super.write(chunk, ...(rest as []))
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.passed.push(chunk)
    if (this.isSlow) this.#resume = callback
    else callback()
  }

  override _read(): void {}

  /** Passes on all delayed writes. */
  passAll(): void {
    this.isSlow = false
    this.#resume?.()
  }
}

interface Setup {
  sink: Sink
  output: Output
  counted: { messages: number; bytes: number; publishes: number; publishBytes: number }
}

function setup(): Setup {
  const sink = new Sink({ highWaterMark: 2 ** 30 })
  const counted = { messages: 0, bytes: 0, publishes: 0, publishBytes: 0 }
  return { sink, counted, output: new Output(sink, counted) }
}

function delivery(payload: Buffer | string, qos: 0 | 1 = 1, packetId = 7): Delivery {
  return {
    message: messageOf({ topic: 'a/ö', payload, properties: { contentType: 'x' } }),
    qos,
    retain: false,
    dup: false,
    packetId: qos === 0 ? 0 : packetId,
    identifiers: Buffer.alloc(0)
  }
}

/** Encodes a whole PUBLISH. */
function encoded(one: Delivery, version = 5): Buffer {
  const bytes = Buffer.alloc(publishHeaderBytes(one, version))
  writePublishHeader(bytes, 0, one, version)
  return Buffer.concat([bytes, one.message.payload])
}

t.test('all packets of a turn are one write, in order', async t => {
  const { sink, output, counted } = setup()
  const [first, second] = [delivery('one'), delivery(Buffer.alloc(3_000, 'x'), 0)]
  output.publish(first, 5)
  output.write(Buffer.from([0x40, 2, 0, 1]))
  output.publish(second, 4)
  output.write(new Uint8Array([0xd0, 0]))
  t.same(sink.writes, [], 'no write before the end of the turn')
  const expected = Buffer.concat([
    encoded(first),
    Buffer.from([0x40, 2, 0, 1]),
    encoded(second, 4),
    Buffer.from([0xd0, 0])
  ])
  t.equal(output.unread, expected.length)
  await setImmediate()
  t.same(sink.writes, [expected])
  t.same(counted, { messages: 4, bytes: expected.length, publishes: 2, publishBytes: 3_003 })
  await setImmediate()
  t.equal(sink.writes.length, 1)
  output.write(Buffer.from([1]))
  await setImmediate()
  t.same(sink.writes.slice(1), [Buffer.from([1])], 'a write per turn')
})

t.test('one write each for many clients', async t => {
  const all = Array.from({ length: 1_000 }, () => setup())
  const one = delivery('to all')
  for (let times = 0; times < 3; times++) for (const { output } of all) output.publish(one, 5)
  await setImmediate()
  t.same(new Set(all.map(({ sink }) => sink.writes.length)), new Set([1]))
  const expected = Buffer.concat([encoded(one), encoded(one), encoded(one)])
  t.ok(all.every(({ sink }) => sink.writes[0].equals(expected)))
})

t.test('flush writes at once, and only once', async t => {
  const { sink, output } = setup()
  output.flush()
  output.write(Buffer.from([1]))
  output.flush()
  t.same(sink.writes, [Buffer.from([1])])
  output.flush()
  output.write(Buffer.from([2]))
  await setImmediate()
  t.same(sink.writes, [Buffer.from([1]), Buffer.from([2])])
})

t.test('more data than the buffer size is written in parts, without loss', async t => {
  const { sink, output } = setup()
  const random = new Random(12)
  const expected: Buffer[] = []
  for (let i = 0; i < 2_000; i++) {
    if (random.integer(4) === 0) {
      const packet = Buffer.alloc(1 + random.integer(40), i)
      expected.push(packet)
      output.write(packet)
    } else {
      const one = delivery(Buffer.alloc(random.integer(random.integer(20) === 0 ? 40_000 : 500), i), 1, i + 1)
      expected.push(encoded(one))
      output.publish(one, 5)
    }
    if (random.integer(300) === 0) await setImmediate()
  }
  await setImmediate()
  const all = Buffer.concat(expected)
  t.ok(Buffer.concat(sink.writes).equals(all))
  t.ok(sink.writes.length < 500, `${sink.writes.length} writes`)
})

t.test('a large payload is not copied, and stays in order', async t => {
  const { sink, output, counted } = setup()
  const payload = Buffer.alloc(100_000, 'large')
  const [before, large, after] = [delivery('before'), delivery(payload), delivery('after')]
  output.publish(before, 5)
  output.publish(large, 5)
  output.publish(after, 5)
  await setImmediate()
  t.ok(
    sink.writes.some(chunk => chunk === payload),
    'the same buffer'
  )
  t.ok(Buffer.concat(sink.writes).equals(Buffer.concat([encoded(before), encoded(large), encoded(after)])))
  t.equal(counted.bytes, publishBytes(before, 5) + publishBytes(large, 5) + publishBytes(after, 5))
  const packet = Buffer.alloc(50_000, 'p')
  output.write(Buffer.from([1]))
  output.write(packet)
  output.write(Buffer.from([2]))
  await setImmediate()
  t.ok(
    Buffer.concat(sink.passed)
      .subarray(-50_002)
      .equals(Buffer.concat([Buffer.from([1]), packet, Buffer.from([2])]))
  )
})

t.test('bytes for a slow reader are not changed by writes to others', async t => {
  const slow = setup()
  slow.sink.isSlow = true
  const expected: Buffer[] = []
  const others = Array.from({ length: 300 }, () => setup())
  const random = new Random(13)
  for (let turn = 0; turn < 60; turn++) {
    const one = delivery(Buffer.alloc([5, 300, 3_000, 20_000][turn % 4], turn), 1, turn + 1)
    slow.output.publish(one, 5)
    expected.push(encoded(one))
    if (turn % 7 === 0) await setImmediate()
    for (const { output } of others) output.publish(delivery(Buffer.alloc(random.integer(4_000), 0xff - turn)), 5)
    await setImmediate()
    for (const { sink } of others) sink.writes.splice(0)
  }
  t.equal(slow.sink.passed.length, 1, 'only the first write has passed')
  const all = Buffer.concat(expected)
  t.ok(Buffer.concat(slow.sink.writes).equals(all), 'written')
  t.equal(slow.output.unread, all.length)
  slow.sink.passAll()
  t.ok(Buffer.concat(slow.sink.passed).equals(all), 'passed on')
  t.equal(slow.output.unread, 0)
})

t.test('isFull while many bytes are unread', async t => {
  const { sink, output } = setup()
  sink.isSlow = true
  t.equal(output.isFull, false)
  output.publish(delivery(Buffer.alloc(60_000)), 5)
  t.equal(output.isFull, false)
  output.publish(delivery(Buffer.alloc(6_000)), 5)
  t.equal(output.isFull, true, 'includes collected bytes')
  await setImmediate()
  t.equal(output.isFull, true)
  sink.passAll()
  t.equal(output.isFull, false)
})

t.test('nothing is written after the end of the connection', async t => {
  for (const end of [(sink: Sink) => sink.destroy(), (sink: Sink) => sink.end()]) {
    const { sink, output } = setup()
    const errors: Error[] = []
    sink.on('error', error => {
      errors.push(error)
    })
    output.write(Buffer.from([1]))
    await setImmediate()
    output.write(Buffer.from([2]))
    end(sink)
    output.write(Buffer.from([3]))
    output.write(Buffer.alloc(50_000))
    output.publish(delivery('x'), 5)
    output.publish(delivery(Buffer.alloc(50_000)), 5)
    output.flush()
    await setImmediate()
    t.same(sink.writes, [Buffer.from([1])])
    t.equal(output.unread, 0)
    t.same(errors, [])
  }
})
