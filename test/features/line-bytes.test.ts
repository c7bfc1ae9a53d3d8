// Numbers and texts written straight into bytes read as JavaScript would write them.

import t from 'tap'
import { Random } from '../../models/random.js'
import { LineBytes } from '../../src/features/line-bytes.js'

function written (write: (out: LineBytes) => void): string {
  const out = new LineBytes()
  write(out)
  return out.take().toString()
}

t.test('whole numbers of any size, and others as JavaScript writes them', async t => {
  const random = new Random(1)
  const values = [0, 1, 9, 10, 99, 100, 65_535, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 10 ** 10, 2 ** 53 - 1, -1, 0.25, 2 ** 60, -0]
  for (let i = 0; i < 2_000; i++) values.push(Math.floor(random.uniform() * 10 ** random.integer(16)))
  for (const value of values) {
    const text = written(out => { out.integer(value) })
    if (text !== String(value)) t.equal(text, String(value))
  }
})

t.test('seconds with as many decimals as are asked for', async t => {
  const random = new Random(2)
  for (let i = 0; i < 2_000; i++) {
    const decimals = [6, 9, 12][i % 3]
    const parts = Math.floor(random.uniform() * 10 ** random.integer(15)) * (random.integer(4) === 0 ? -1 : 1)
    const digits = String(Math.abs(parts)).padStart(decimals + 1, '0')
    const expected = `${parts < 0 ? '-' : ''}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`
    const text = written(out => { out.decimal(parts, decimals) })
    if (text !== expected) t.equal(text, expected)
  }
  t.equal(written(out => { out.fraction(42, 6) }), '.000042')
})

t.test('texts and bytes, also beyond the room there was', async t => {
  const long = 'a'.repeat(100_000)
  const all = written(out => {
    out.ascii(long)
    out.ascii('short')
    out.utf8('\u00e9\u20ac')
    out.hex(Uint8Array.of(0, 15, 255))
    out.bytes(Buffer.from('{}'))
  })
  t.equal(all, `${long}short\u00e9\u20ac000fff{}`)
})

t.test('what was taken is not written over', async t => {
  const out = new LineBytes()
  out.ascii('first')
  const first = out.take()
  out.ascii('second')
  t.equal(out.take().toString(), 'second')
  t.equal(first.toString(), 'first')
  t.equal(out.take().length, 0)
})
