// Numbers and texts written into a buffer match JavaScript's own formatting.

import t from 'tap'
import { Random } from '../../models/random.js'
import {
  LONGEST_NUMBER,
  LineBytes,
  writeAscii,
  writeBytes,
  writeHex,
  writeNumber,
  writeSeconds,
  writeTime
} from '../../src/features/line-bytes.js'

/** Writes after existing text. Fails if bytes outside the returned range change. */
function written(write: (bytes: Buffer, at: number) => number): string {
  const bytes = Buffer.alloc(400, '~')
  const end = write(bytes, 3)
  if (!/^~~~.*~$/s.test(bytes.toString('latin1')) || /[^~]/.test(bytes.toString('latin1', end)))
    t.fail('bytes outside the range were changed')
  return bytes.toString('latin1', 3, end)
}

t.test('integers of any size, and other numbers as JavaScript formats them', async t => {
  const random = new Random(1)
  const values = [
    0,
    1,
    9,
    10,
    99,
    100,
    65_535,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    10 ** 10,
    2 ** 53 - 1,
    -1,
    0.25,
    2 ** 60,
    -0,
    -Number.MAX_VALUE,
    5e-324
  ]
  for (let i = 0; i < 2_000; i++) values.push(Math.floor(random.uniform() * 10 ** random.integer(16)))
  for (const value of values) {
    const text = written((bytes, at) => writeNumber(bytes, at, value))
    if (text !== String(value) || text.length > LONGEST_NUMBER) t.equal(text, String(value))
  }
})

t.test('seconds with as many decimals as necessary', async t => {
  const random = new Random(2)
  for (let i = 0; i < 2_000; i++) {
    const decimals = [6, 9, 12][i % 3]
    const parts = Math.floor(random.uniform() * 10 ** random.integer(15)) * (random.integer(4) === 0 ? -1 : 1)
    const value = parts / 10 ** decimals
    const shortest = [6, 9, 12].find(count => Number(value.toFixed(count)) === value) ?? 12
    const text = written((bytes, at) => writeSeconds(bytes, at, value))
    if (text !== value.toFixed(shortest)) t.equal(text, value.toFixed(shortest), `${parts} of ${decimals} decimals`)
  }
  for (const value of [0, 1e20, -1e20, 1e300]) {
    const text = written((bytes, at) => writeSeconds(bytes, at, value))
    t.equal(Number(text), value)
    t.ok(text.length <= LONGEST_NUMBER)
  }
})

t.test('times, truncated to microseconds', async t => {
  t.equal(
    written((bytes, at) => writeTime(bytes, at, 7, 42_999)),
    '7.000042'
  )
  t.equal(
    written((bytes, at) => writeTime(bytes, at, 1_700_000_000, 999_999_999)),
    '1700000000.999999'
  )
  t.equal(
    written((bytes, at) => writeTime(bytes, at, 999_999_999_999, 0)),
    '999999999999.000000'
  )
})

t.test('texts and bytes', async t => {
  const long = 'a'.repeat(300)
  t.equal(
    written((bytes, at) => writeAscii(bytes, at, long)),
    long
  )
  t.equal(
    written((bytes, at) => writeAscii(bytes, at, 'short')),
    'short'
  )
  t.equal(
    written((bytes, at) => writeHex(bytes, at, Uint8Array.of(0, 15, 255))),
    '000fff'
  )
  t.equal(
    written((bytes, at) => writeBytes(bytes, at, Buffer.from('{}'))),
    '{}'
  )
})

t.test('the buffer grows without losing data, and taken bytes are not overwritten', async t => {
  const out = new LineBytes()
  const add = (text: string): void => {
    out.length = writeAscii(out.reserve(text.length), out.length, text)
  }
  const long = 'b'.repeat(100_000)
  add('first')
  add(long)
  const first = out.take()
  add('second')
  t.equal(out.take().toString(), 'second')
  t.equal(first.toString(), `first${long}`)
  t.equal(out.take().length, 0)
})
