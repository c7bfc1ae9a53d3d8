// The shared statistics, compared with known values, and the random number generator.

import t from 'tap'
import { Random } from '../../models/random.js'
import { erf, moments, percentile } from '../../models/statistics.js'

t.test('percentiles interpolate as numpy does', async t => {
  t.equal(percentile([4, 1, 3, 2], 0), 1)
  t.equal(percentile([4, 1, 3, 2], 100), 4)
  t.equal(percentile([4, 1, 3, 2], 50), 2.5)
  t.ok(Math.abs(percentile([4, 1, 3, 2], 90) - 3.7) < 1e-12)
  t.equal(percentile([5], 90), 5)
})

t.test('moments', async t => {
  t.same(moments([1, 2, 3, 4, 5]), { min: 1, max: 5, mean: 3, deviation: Math.SQRT2 })
})

t.test('the error function', async t => {
  // Abramowitz and Stegun, table 7.1.
  for (const [x, value] of [
    [0, 0],
    [0.5, 0.5204998778],
    [1, 0.8427007929],
    [2, 0.995322265],
    [10, 1]
  ]) {
    t.ok(Math.abs(erf(x) - value) < 1e-10, `erf(${x})`)
    t.ok(Math.abs(erf(-x) + value) < 1e-10, `erf(${-x})`)
  }
})

t.test('a seed determines the sequence', async t => {
  const first = (seed: number) => Array.from({ length: 8 }, (random = new Random(seed)) => (random as Random).uint32())
  t.same(first(1), first(1))
  t.notSame(first(1), first(2))
  t.notSame(first(1), first(1 + 2 ** 32))
})

t.test('distributions of the draws', async t => {
  const random = new Random(3)
  const uniform = moments(Array.from({ length: 20_000 }, () => random.uniform()))
  t.ok(uniform.min >= 0 && uniform.max < 1 && Math.abs(uniform.mean - 0.5) < 0.01)
  t.ok(Math.abs(uniform.deviation - Math.sqrt(1 / 12)) < 0.005)
  const normal = moments(Array.from({ length: 20_000 }, () => random.normal()))
  t.ok(Math.abs(normal.mean) < 0.03 && Math.abs(normal.deviation - 1) < 0.03)
  const counts = new Uint32Array(6)
  for (let i = 0; i < 60_000; i++) counts[random.integer(6)]++
  t.ok(
    counts.every(count => Math.abs(count - 10_000) < 500),
    counts.join()
  )
})

t.test('a draw selects items without replacement', async t => {
  const items = Uint32Array.from({ length: 100 }, (_, i) => i)
  new Random(5).draw(items, 30)
  t.equal(new Set(items).size, 100)
  t.notSame(
    items.slice(0, 30),
    Uint32Array.from({ length: 30 }, (_, i) => i)
  )
})
