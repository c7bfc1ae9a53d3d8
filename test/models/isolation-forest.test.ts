// The isolation forest, compared with PyOD's and with manual calculations.

import t from 'tap'
import { IsolationForest, rocAuc } from '../../models/index.js'
import { Random } from '../../models/random.js'
import { readReference, readStandardised } from './reference.js'

t.test('the mean AUC is that of PyOD', async t => {
  const { train, test, testLabels } = readStandardised()
  const theirs = (readReference() as { iforest: { test_auc_over_20_seeds: { mean: number } } }).iforest
    .test_auc_over_20_seeds.mean
  let mean = 0
  for (let seed = 0; seed < 20; seed++) {
    const forest = new IsolationForest({ seed })
    await forest.fit(train)
    mean += rocAuc(testLabels, forest.decisionFunction(test)) / 20
  }
  t.ok(mean > theirs - 0.01, `${mean} against ${theirs}`)
})

t.test('one cut separates two rows: path length 1 is the norm of two samples', async t => {
  const forest = new IsolationForest({ nEstimators: 5 })
  await forest.fit([[0], [1]])
  t.same(forest.decisionFunction([[0], [1], [-5]]), Float64Array.of(0, 0, 0))
})

t.test('a distant row scores above 0, a central row below', async t => {
  const forest = new IsolationForest()
  const random = new Random(1)
  await forest.fit(Array.from({ length: 500 }, () => [random.normal(), random.normal()]))
  const [middle, far] = forest.decisionFunction([
    [0, 0],
    [9, 9]
  ])
  t.ok(middle < 0 && far > 0, `${middle} and ${far}`)
})

t.test('a saved tree with a cycle is rejected', async t => {
  const forest = new IsolationForest({ nEstimators: 1 })
  await forest.fit([[0], [1], [2]])
  const json = forest.toJSON()
  const right = new Uint32Array(Uint8Array.from(Buffer.from(String(json.state.right), 'base64')).buffer)
  right[0] = 1
  json.state.right = Buffer.from(right.buffer).toString('base64')
  t.throws(() => IsolationForest.fromJSON(json), { code: 'state' })
})
