// The one-class support vector machine, compared with LIBSVM's as used by PyOD.

import t from 'tap'
import { OneClassSvm, rocAuc } from '../../models/index.js'
import { Random } from '../../models/random.js'
import { largestDifference, readReference, readStandardised } from './reference.js'

interface Figures {
  threshold: number
  train_scores: number[]
  test_scores: number[]
  test_proba_linear: number[]
  test_proba_unify: number[]
  test_labels: number[]
}

const { train, test, testLabels } = readStandardised()
const reference = readReference() as { ocsvm: Figures; ocsvm_nu01: Figures }

for (const [name, options] of [
  ['ocsvm', {}],
  ['ocsvm_nu01', { nu: 0.1 }]
] as const) {
  t.test(`${name} agrees with PyOD`, async t => {
    const theirs = reference[name]
    const detector = new OneClassSvm(options)
    await detector.fit(train)
    const range = Math.max(...theirs.test_scores) - Math.min(...theirs.test_scores)
    t.ok(largestDifference(detector.decisionFunction(test), theirs.test_scores) / range < 1e-3, 'scores')
    t.ok(largestDifference(detector.trainingScores ?? [], theirs.train_scores) / range < 1e-3, 'training scores')
    t.ok(Math.abs(detector.threshold - theirs.threshold) / range < 1e-3, 'threshold')
    t.ok(largestDifference(detector.predictProba(test), theirs.test_proba_linear) < 1e-3, 'linear')
    t.ok(largestDifference(detector.predictProba(test, 'unify'), theirs.test_proba_unify) < 1e-3, 'unify')
    const differing = detector.predict(test).filter((label, i) => label !== theirs.test_labels[i]).length
    t.ok(differing <= 2, `${differing} labels differ`)
  })
}

t.test('nu is an upper bound of the rows outside and a lower bound of the support vectors', async t => {
  for (const nu of [0.05, 0.3, 0.8]) {
    const detector = new OneClassSvm({ nu, tol: 1e-6 })
    await detector.fit(train)
    const outside = (detector.trainingScores ?? []).filter(score => score > 1e-4).length
    t.ok(outside <= nu * train.length, `nu ${nu}: ${outside} outside`)
    t.ok(detector.supportVectors >= nu * train.length, `nu ${nu}: ${detector.supportVectors} support vectors`)
  }
})

t.test('a cap on the rows limits the support vectors, at little cost', async t => {
  const detector = new OneClassSvm({ maxSamples: 200 })
  await detector.fit(train)
  t.ok(detector.supportVectors <= 200)
  t.equal(detector.trainingScores?.length, train.length)
  const auc = rocAuc(testLabels, detector.decisionFunction(test))
  t.ok(auc > 0.97, `AUC ${auc}`)
})

t.test('gamma: scale is 1 / (columns * variance), a number is used as it is', async t => {
  const random = new Random(1)
  const rows = Array.from({ length: 50 }, () => [3 * random.normal(), 3 * random.normal()])
  const flat = rows.flat()
  const mean = flat.reduce((sum, value) => sum + value) / flat.length
  const variance = flat.reduce((sum, value) => sum + (value - mean) ** 2, 0) / flat.length
  const scale = new OneClassSvm({ gamma: 'scale' })
  const number = new OneClassSvm({ gamma: 1 / (2 * variance) })
  const auto = new OneClassSvm()
  for (const detector of [scale, number, auto]) await detector.fit(rows)
  t.ok(largestDifference(scale.decisionFunction(rows), number.decisionFunction(rows)) < 1e-9)
  t.ok(largestDifference(scale.decisionFunction(rows), auto.decisionFunction(rows)) > 0.1)
  t.throws(() => new OneClassSvm({ gamma: -1 }), { code: 'parameter' })
  t.throws(() => new OneClassSvm({ gamma: 'wide' as 'auto' }), { code: 'parameter' })
})

t.test('scores are bounded by rho, unbounded scores increase in the same order', async t => {
  const random = new Random(1)
  const detector = new OneClassSvm({ nu: 0.1 })
  await detector.fit(Array.from({ length: 500 }, () => [random.normal(), random.normal()]))
  const distances = Array.from({ length: 40 }, (_, i) => i / 4)
  const rows = distances.map(distance => [distance, 0])
  const [scores, unbounded] = [detector.decisionFunction(rows), detector.unbounded(rows)]
  const isRising = (values: Float64Array): boolean => values.every((value, i) => i === 0 || value >= values[i - 1])
  t.ok(isRising(scores.subarray(8)) && isRising(unbounded.subarray(8)))
  t.ok(scores[39] - scores[32] < 1e-3 * (scores[32] - scores[8]), 'scores at 8 and 10 deviations hardly differ')
  t.ok(unbounded[39] - unbounded[32] > 2, 'unbounded scores do')
  const [far, farther] = detector.unbounded([
    [1e4, 1e4],
    [1e9, 1e9]
  ])
  t.ok(farther > far && Number.isFinite(farther))
})
