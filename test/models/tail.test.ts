// The tail: surprise is the rarity of a score. It is unbounded and keeps the order of the scores.

import t from 'tap'
import { Random } from '../../models/random.js'
import { Tail } from '../../models/tail.js'

const random = new Random(1)
const scores = Array.from({ length: 20_000 }, () => -Math.log(1 - random.uniform()))
const tail = Tail.fit(scores)

t.test('surprise is -log10 of the share of scores that are at least as high', async t => {
  for (const power of [0.5, 1, 1.5, 2, 3])
    t.ok(Math.abs(tail.surprise(power * Math.LN10) - power) < 0.15, `1 in 10^${power}`)
  t.equal(tail.surprise(-1), 0)
})

t.test('it does not saturate, and keeps the order', async t => {
  const steps = Array.from({ length: 400 }, (_, i) => tail.surprise(i / 10))
  t.ok(steps.every((value, i) => i === 0 || value >= steps[i - 1]))
  t.ok(steps[399] > 12)
})

t.test('if all training scores are equal, a similar score has a low surprise', async t => {
  const alike = Tail.fit(new Float64Array(5_000).fill(0.25))
  t.equal(alike.surprise(0.25), 0)
  t.ok(alike.surprise(0.25 + 1e-4) < 0.1)
})

t.test('a tail is restored from JSON', async t => {
  const loaded = Tail.fromJSON(JSON.parse(JSON.stringify(tail)))
  for (const score of [0, 1, 5, 50]) t.equal(loaded.surprise(score), tail.surprise(score))
  t.throws(() => Tail.fromJSON({ ...tail.toJSON(), scale: 0 }), { code: 'state' })
  t.throws(() => Tail.fromJSON({ ...tail.toJSON(), knots: '' }), { code: 'state' })
})
