// The ring: entries are read in order, or dropped and counted; the reader is always woken.

import t from 'tap'
import { Random } from '../../models/random.js'
import { allocateRing, RingReader, RingWriter } from '../../src/observe/ring.js'

function ringOf(bytes: number, wake: () => void = () => {}) {
  const memory = allocateRing(bytes)
  return { memory, writer: new RingWriter(memory, wake), reader: new RingReader(memory) }
}

function write(writer: RingWriter, bytes: Uint8Array, spare?: number): boolean {
  const at = writer.reserve(bytes.length, spare)
  if (at < 0) return false
  writer.bytes.set(bytes, at)
  writer.commit()
  return true
}

function read(reader: RingReader): Buffer[] {
  const entries: Buffer[] = []
  reader.drain((bytes, _view, start, length) => {
    entries.push(Buffer.from(bytes.slice(start, start + length)))
  })
  return entries
}

t.test('requires a power of two as capacity', async t => {
  for (const bytes of [0, 32, 63, 100, 1_000, -64]) t.throws(() => allocateRing(bytes), RangeError, String(bytes))
  for (const bytes of [64, 1_024, 4_194_304]) t.equal(allocateRing(bytes).data.byteLength, bytes)
})

t.test('reads entries of every length as written, across wraps of the ring', async t => {
  const random = new Random(1)
  const { writer, reader } = ringOf(256)
  const written: Buffer[] = []
  const got: Buffer[] = []
  let dropped = 0
  for (let i = 0; i < 20_000; i++) {
    const entry = Buffer.from(Array.from({ length: random.integer(90) }, () => random.integer(256)))
    if (write(writer, entry)) written.push(entry)
    else dropped++
    if (random.integer(3) === 0) got.push(...read(reader))
  }
  got.push(...read(reader))
  t.equal(got.length, written.length)
  t.ok(Buffer.concat(got).equals(Buffer.concat(written)), 'the same bytes in the same order')
  t.ok(
    got.every((entry, i) => entry.length === written[i].length),
    'with the same boundaries'
  )
  t.ok(dropped > 100 && written.length > 10_000, `${dropped} dropped, so both paths were tested`)
  t.equal(writer.dropped, dropped)
  t.equal(reader.dropped, dropped)
})

t.test('a full ring drops new entries, keeps old ones, and accepts entries again when it has space', async t => {
  const { writer, reader } = ringOf(64)
  const entry = (i: number): Buffer => Buffer.alloc(12, i)
  t.same(
    [0, 1, 2, 3, 4, 5].map(i => write(writer, entry(i))),
    [true, true, true, true, false, false],
    'exactly four entries of 16 bytes fit'
  )
  t.equal(writer.dropped, 2)
  t.same(read(reader), [0, 1, 2, 3].map(entry))
  t.ok(write(writer, entry(6)))
  t.same(read(reader), [entry(6)])
  t.equal(reader.dropped, 2)
})

t.test('drops an entry that is larger than the ring and continues', async t => {
  const { writer, reader } = ringOf(64)
  t.notOk(write(writer, Buffer.alloc(61)))
  t.ok(write(writer, Buffer.alloc(60, 7)))
  t.same(read(reader), [Buffer.alloc(60, 7)])
})

t.test('leaves spare space to entries without a spare requirement', async t => {
  const { writer, reader } = ringOf(64)
  while (write(writer, Buffer.alloc(12), 16));
  t.ok(write(writer, Buffer.alloc(12, 1)), 'one more without spare')
  t.equal(read(reader).length, 4)
})

t.test('does not read a reserved entry before it is committed', async t => {
  const { writer, reader } = ringOf(64)
  const at = writer.reserve(4)
  t.same(read(reader), [])
  writer.bytes.set([1, 2, 3, 4], at)
  t.same(read(reader), [])
  writer.commit()
  t.same(read(reader), [Buffer.from([1, 2, 3, 4])])
  writer.reserve(8)
  t.ok(write(writer, Buffer.from([5])), 'the next reservation replaces an uncommitted one')
  t.same(read(reader), [Buffer.from([5])])
})

t.test('handles the wrap of the counters at 2^32 bytes', async t => {
  const capacity = 1 << 22
  const { writer, reader } = ringOf(capacity)
  const length = 1_000_003
  let count = 0
  // Only the lengths are written, so that more than 4 GiB pass without copying.
  for (let bytes = 0; bytes < 2 ** 32 + 4 * capacity; bytes += length) {
    const at = writer.reserve(length)
    if (at < 0) t.fail(`full after ${bytes} bytes`)
    writer.bytes[at] = count & 0xff
    writer.commit()
    let seen = 0
    reader.drain((bytes, _view, start, entryLength) => {
      if (bytes[start] !== (count & 0xff) || entryLength !== length) t.fail(`entry ${count} is corrupt`)
      seen++
    })
    if (seen !== 1) t.fail(`entry ${count} was read ${seen} times`)
    count++
  }
  t.ok(count > 4_000)
  t.equal(writer.dropped, 0)
  let fitted = 0
  for (; writer.reserve(length) >= 0; fitted++) writer.commit()
  t.equal(writer.dropped, 1, 'and still detects that it is full')
  t.equal(
    reader.drain(() => {}),
    fitted
  )
})

t.test('wakes the reader once for each sleep, and only then', async t => {
  let wakes = 0
  const { writer, reader } = ringOf(256, () => {
    wakes++
  })
  write(writer, Buffer.from([1]))
  t.equal(wakes, 0, 'an awake reader is not woken')
  t.notOk(reader.sleep(), 'does not sleep while entries are available')
  write(writer, Buffer.from([2]))
  t.equal(wakes, 0, 'still awake')
  t.equal(read(reader).length, 2)
  t.ok(reader.sleep())
  t.equal(wakes, 0)
  write(writer, Buffer.from([3]))
  write(writer, Buffer.from([4]))
  t.equal(wakes, 1)
  t.equal(read(reader).length, 2)
  t.ok(reader.sleep())
  while (write(writer, Buffer.alloc(40)));
  t.equal(wakes, 2)
})
