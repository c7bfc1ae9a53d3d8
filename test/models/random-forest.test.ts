// The random forest, compared with scikit-learn's and with manual calculations.

import t from 'tap'
import { RandomForest, rocAuc } from '../../models/index.js'
import { readReference, readStandardised } from './reference.js'

t.test('the mean AUC is that of scikit-learn', async t => {
  const { train, trainLabels, test, testLabels } = readStandardised()
  const theirs = (readReference() as { random_forest: { test_auc_over_10_seeds: { mean: number } } }).random_forest
    .test_auc_over_10_seeds.mean
  let mean = 0
  for (let seed = 0; seed < 10; seed++) {
    const forest = new RandomForest({ seed })
    await forest.fit(train, trainLabels)
    mean += rocAuc(testLabels, forest.decisionFunction(test)) / 10
  }
  t.ok(mean > theirs - 0.01, `${mean} against ${theirs}`)
})

t.test('a split is half-way between the values, and the score is a share of votes', async t => {
  const rows = Array.from({ length: 40 }, (_, i) => [i < 20 ? i / 100 : 10 + i / 100, 5])
  const labels = rows.map(([value]) => Number(value > 5))
  const forest = new RandomForest({ nEstimators: 30 })
  await forest.fit(rows, labels)
  t.same(
    forest.decisionFunction([
      [-100, 5],
      [4, 5],
      [6.5, 5],
      [100, 5]
    ]),
    Float64Array.of(0, 0, 1, 1)
  )
  t.equal(forest.threshold, 0.5)
  t.same(forest.trainingScores, Float64Array.from(labels), 'out-of-bag rows are separated too')
})

t.test('training scores do not reflect memorised noise', async t => {
  const { train } = readStandardised()
  const labels = train.map((_, i) => i % 2)
  const forest = new RandomForest({ nEstimators: 50 })
  await forest.fit(train, labels)
  const auc = rocAuc(labels, forest.trainingScores ?? [])
  t.ok(auc > 0.35 && auc < 0.65, `AUC ${auc} of labels that mean nothing`)
  t.ok(rocAuc(labels, forest.decisionFunction(train)) > 0.99, 'the trees have memorised it')
})

t.test('counting and sorting ranks give the same kind of split', async t => {
  // 1,000 distinct values in a node of a few rows are sorted, two values are counted.
  const rows = Array.from({ length: 1000 }, (_, i) => [i, Number(i >= 990)])
  const labels = rows.map(([i]) => Number(i >= 990 && i % 2 === 0))
  const forest = new RandomForest({ nEstimators: 200 })
  await forest.fit(rows, labels)
  const scores = forest.decisionFunction([
    [10, 0],
    [994, 1],
    [995, 1]
  ])
  t.equal(scores[0], 0)
  t.ok(scores[1] > 0.5 && scores[2] < 0.5, scores.join())
})

t.test('labels of both kinds are required', async t => {
  await t.rejects(new RandomForest().fit([[1], [2]]), { code: 'labels' })
  await t.rejects(new RandomForest().fit([[1], [2]], [1, 1]), { code: 'labels' })
  await t.rejects(new RandomForest().fit([[1], [2]], [0, 2]), { code: 'labels' })
})
