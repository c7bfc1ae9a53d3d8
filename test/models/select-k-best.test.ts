// The selection of columns, compared with scikit-learn's and with manual calculations.

import t from 'tap'
import { anovaF, selectKBest } from '../../models/index.js'
import { largestDifference, readReference, readStandardised } from './reference.js'

t.test('scores and columns equal those of scikit-learn', async t => {
  const { train, trainLabels } = readStandardised()
  const theirs = (readReference() as { select_k_best: { k: number; scores: (number | null)[]; selected: number[] } })
    .select_k_best
  const scores = anovaF(train, trainLabels)
  t.ok(
    largestDifference(
      scores.map(score => (Number.isNaN(score) ? 0 : score)),
      theirs.scores.map(Number)
    ) < 1e-6
  )
  t.same(
    [...scores.keys()].filter(j => Number.isNaN(scores[j])),
    [5],
    'the constant column has no score'
  )
  t.same(selectKBest(train, trainLabels, theirs.k), theirs.selected)
})

t.test('manually: 6 between the two labels, 4 within over 4 degrees of freedom', async t => {
  t.same(anovaF([[0], [1], [2], [2], [3], [4]], [0, 0, 0, 1, 1, 1]), Float64Array.of(6))
})

t.test('constant columns are ranked last, those that the labels determine first', async t => {
  const rows = [
    [0.1, 0, 1],
    [0.1, 0, 2],
    [0.1, 7, 3],
    [0.1, 7, 1]
  ]
  t.same(anovaF(rows, [0, 0, 1, 1]).slice(0, 2), Float64Array.of(NaN, Infinity))
  t.same(selectKBest(rows, [0, 0, 1, 1], 2), [1, 2])
  t.same(selectKBest(rows, [0, 0, 1, 1], 3), [0, 1, 2])
})

t.test('invalid input is rejected', async t => {
  t.throws(() => anovaF([[1], [2]], [1, 1]), { code: 'labels' })
  t.throws(() => anovaF([[1], [2]], [1]), { code: 'labels' })
  t.throws(() => selectKBest([[1], [2]], [0, 1], 2), { code: 'parameter' })
})
