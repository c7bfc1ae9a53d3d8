// The metrics, compared with scikit-learn's and with manual calculations.

import t from 'tap'
import { accuracy, averagePrecision, confusion, evaluate, recallAtFpr, rocAuc, rocCurve } from '../../models/index.js'
import { readReference, readTable } from './reference.js'

interface Reference {
  ocsvm: { test_scores: number[]; threshold: number }
  metrics: { roc_auc: number; average_precision: number; accuracy_at_threshold: number }
}

t.test('they agree with scikit-learn to 1e-9', async t => {
  const { labels } = readTable('test.csv')
  const { ocsvm, metrics } = readReference() as Reference
  t.ok(Math.abs(rocAuc(labels, ocsvm.test_scores) - metrics.roc_auc) < 1e-9)
  t.ok(Math.abs(averagePrecision(labels, ocsvm.test_scores) - metrics.average_precision) < 1e-9)
  t.ok(Math.abs(accuracy(labels, ocsvm.test_scores, ocsvm.threshold) - metrics.accuracy_at_threshold) < 1e-9)
})

t.test('ties count half', async t => {
  t.equal(rocAuc([0, 1, 0, 1], [1, 1, 1, 1]), 0.5)
  t.equal(rocAuc([0, 0, 1, 1], [0, 1, 1, 2]), 0.875)
  t.equal(averagePrecision([0, 1], [1, 1]), 0.5)
})

t.test('the limits of the scale', async t => {
  t.equal(rocAuc([0, 0, 1], [0, 1, 2]), 1)
  t.equal(rocAuc([1, 0, 0], [0, 1, 2]), 0)
  t.ok(Number.isNaN(rocAuc([0, 0], [1, 2])))
  t.ok(Number.isNaN(averagePrecision([0, 0], [1, 2])))
  t.ok(Number.isNaN(averagePrecision([1, 1], [1, 2])))
  t.ok(Number.isNaN(recallAtFpr([1, 1], [1, 2], 0.01)))
})

t.test('recall at a false-positive rate', async t => {
  const labels = [...Array<number>(100).fill(0), 1, 1, 1, 1]
  const scores = [...Array<number>(100).keys(), 98.5, 97.5, 200, 201]
  t.equal(recallAtFpr(labels, scores, 0), 0.5)
  t.equal(recallAtFpr(labels, scores, 0.01), 0.75)
  t.equal(recallAtFpr(labels, scores, 0.02), 1)
})

t.test('only scores above the threshold are classified as outliers', async t => {
  t.same(confusion([0, 1, 0, 1], [1, 1, 2, 2], 1), { tp: 1, fp: 1, tn: 1, fn: 1 })
})

t.test('an evaluation compares each label with the benign rows', async t => {
  const names = [null, null, null, null, 'flood', 'flood', '__proto__']
  const figures = evaluate(names, [0, 1, 2, 3, 4, 5, 1.5], 3.5)
  t.equal(figures.rows, 7)
  t.equal(figures.attackRows, 3)
  t.same(figures.confusion, { tp: 2, fp: 0, tn: 4, fn: 1 })
  t.same(Object.keys(figures.perLabel), ['__proto__', 'flood'])
  t.same(figures.perLabel.flood, { rows: 2, rocAuc: 1, recall: 1, recallAtFpr1: 1 })
  t.same(Object.entries(figures.perLabel)[0][1], { rows: 1, rocAuc: 0.5, recall: 0, recallAtFpr1: 0 })
  t.equal((JSON.parse(JSON.stringify(evaluate([null], [1], 0))) as { rocAuc: null }).rocAuc, null)
})

t.test('the ROC curve runs from (0, 0) to (1, 1) with a point for each distinct score', t => {
  const curve = rocCurve([0, 1, 0, 1], [0.1, 0.9, 0.5, 0.5])
  t.same(
    curve.map(({ falsePositiveRate, truePositiveRate }) => [falsePositiveRate, truePositiveRate]),
    [
      [0, 0],
      [0, 0.5],
      [0.5, 1],
      [1, 1]
    ]
  )
  t.end()
})
