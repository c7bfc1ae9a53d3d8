// The scaler, compared with scikit-learn's, and its limit.

import t from 'tap'
import { StandardScaler } from '../../models/index.js'
import { largestDifference, readReference, readTable } from './reference.js'

t.test('it agrees with scikit-learn to 1e-9', async t => {
  const { rows } = readTable('train.csv')
  const { scaler } = readReference() as { scaler: { mean: number[]; scale: number[] } }
  const ours = StandardScaler.fit(rows)
  t.ok(largestDifference(ours.mean, scaler.mean) < 1e-9)
  t.ok(largestDifference(ours.scale, scaler.scale) < 1e-9)
})

t.test('a constant column has scale 1, even for large values', async t => {
  const ours = StandardScaler.fit(Array.from({ length: 1000 }, () => [0.1, 1e9 + 0.1]))
  t.same(ours.scale, Float64Array.of(1, 1))
})

t.test('results are clipped to the limit, which is saved in JSON', async t => {
  const ours = StandardScaler.fit(
    [
      [0, 0],
      [0, 2],
      [1e-9, 4]
    ],
    { limit: 10 }
  )
  const loaded = StandardScaler.fromJSON(JSON.parse(JSON.stringify(ours)))
  for (const scaler of [ours, loaded]) {
    t.same(scaler.transform([1, 2]), Float64Array.of(10, 0))
    t.same(scaler.transform([-1, 2]), Float64Array.of(-10, 0))
  }
  const free = StandardScaler.fromJSON(JSON.parse(JSON.stringify(StandardScaler.fit([[0], [2]]))))
  t.same(free.transform([1001]), Float64Array.of(1000))
})

t.test('a column has at least its minimum deviation', async t => {
  const rows = [
    [0, 5, 0],
    [0, 5, 4],
    [0.01, 5, 0],
    [0.01, 5, 4]
  ]
  const { scale } = StandardScaler.fit(rows, { least: [0.1, 0.5, 0.1] })
  t.same(scale, Float64Array.of(0.1, 0.5, 2))
})

t.test('invalid input is rejected', async t => {
  const ours = StandardScaler.fit([
    [0, 1],
    [1, 0]
  ])
  t.throws(() => ours.transform([1]), { code: 'width' })
  t.throws(() => StandardScaler.fit([]), { code: 'rows' })
  t.throws(() => StandardScaler.fit([[NaN]]), { code: 'not-finite' })
  t.throws(() => StandardScaler.fromJSON({ ...ours.toJSON(), mean: 'AAAA' }), { code: 'state' })
  t.throws(() => StandardScaler.fromJSON({ ...ours.toJSON(), scale: Buffer.alloc(16).toString('base64') }), {
    code: 'state'
  })
})
