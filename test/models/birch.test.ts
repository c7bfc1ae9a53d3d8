// BIRCH, compared with scikit-learn's: its cap and its two scores.

import t from 'tap'
import { Birch, rocAuc } from '../../models/index.js'
import { Random } from '../../models/random.js'
import { wardHalves } from '../../models/ward.js'
import { largestDifference, readReference, readStandardised } from './reference.js'

interface Figures {
  n_subclusters: number
  test_distance_to_nearest: number[]
}

const { train, test, testLabels } = readStandardised()
const reference = readReference() as Record<string, Figures>

for (const threshold of ['0.2', '2.0', '6.0']) {
  t.test(`threshold ${threshold} agrees with scikit-learn`, async t => {
    const theirs = reference[`birch_${threshold}`]
    const detector = new Birch({ threshold: Number(threshold) })
    await detector.fit(train)
    t.equal(detector.centers?.count, theirs.n_subclusters)
    t.ok(largestDifference(detector.decisionFunction(test), theirs.test_distance_to_nearest) < 1e-6)
  })
}

t.test('the number of subclusters is capped, at little cost', async t => {
  const detector = new Birch({ maxSubclusters: 100 })
  await detector.fit(train)
  t.ok((detector.centers?.count ?? Infinity) <= 100)
  t.ok(detector.radius > 0.2)
  const auc = rocAuc(testLabels, detector.decisionFunction(test))
  t.ok(auc > 0.95, `AUC ${auc}`)
})

t.test('training rows are scored as if unseen', async t => {
  const half = train.length / 2
  const detector = new Birch()
  await detector.fit(train.slice(0, half))
  const above = detector.predict(train.slice(half)).reduce((sum, label) => sum + label, 0)
  t.ok(above < 0.2 * half, `${above} of ${half} new rows above the threshold of contamination 0.1`)
})

t.test('if the training data contains an attack, the smaller group is the attack', async t => {
  const random = new Random(1)
  const cloud = (count: number, center: number) =>
    Array.from({ length: count }, () => [center + random.normal(), random.normal()])
  const detector = new Birch({ score: 'cluster' })
  await detector.fit([...cloud(100, 20), ...cloud(300, 0)])
  const labels = [...Array<number>(50).fill(1), ...Array<number>(50).fill(0)]
  t.equal(rocAuc(labels, detector.decisionFunction([...cloud(50, 20), ...cloud(50, 0)])), 1)
})

t.test('Ward merges the groups with the least cost', async t => {
  const points = [[0], [9], [1], [10], [2]].map(point => Float64Array.from(point))
  t.same(wardHalves(points), Uint8Array.of(0, 1, 0, 1, 0))
  // Three on the left: merging the pair on the right costs less than merging it with them.
  t.same(wardHalves([[0], [0.1], [0.2], [3], [4]].map(point => Float64Array.from(point))), Uint8Array.of(0, 0, 0, 1, 1))
  t.same(wardHalves([[1], [1], [1], [1]].map(point => Float64Array.from(point))).length, 4)
})
