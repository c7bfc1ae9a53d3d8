// K-means, compared with scikit-learn's, and its two scores.

import t from 'tap'
import { KMeans, rocAuc } from '../../models/index.js'
import { Random } from '../../models/random.js'
import { largestDifference, readReference, readStandardised } from './reference.js'

interface Figures {
  inertia: number
  centers: number[][]
  test_assignment: number[]
  test_distance_to_nearest: number[]
}

t.test('it finds the same partition as scikit-learn', async t => {
  const { train, test } = readStandardised()
  const theirs = (readReference() as { kmeans: Figures }).kmeans
  const detector = new KMeans()
  await detector.fit(train)
  t.ok(Math.abs(detector.inertia - theirs.inertia) < 1e-6)
  t.ok(largestDifference(detector.decisionFunction(test), theirs.test_distance_to_nearest) < 1e-6, 'distances')
  const { centers } = detector
  if (centers === undefined) throw new Error('no centres')
  const nearest = test.map(row => centers.nearest(row, 0).center)
  const flipped = nearest[0] !== theirs.test_assignment[0]
  t.same(
    nearest.map(center => (flipped ? 1 - center : center)),
    theirs.test_assignment,
    'assignment'
  )
  const ours = flipped
    ? [...centers.data.subarray(centers.width), ...centers.data.subarray(0, centers.width)]
    : centers.data
  t.ok(largestDifference(ours, theirs.centers.flat()) < 1e-6, 'centres')
})

t.test('if the training data contains an attack, the smaller cluster is the attack', async t => {
  const random = new Random(1)
  const cloud = (count: number, center: number) =>
    Array.from({ length: count }, () => [center + random.normal(), random.normal()])
  const detector = new KMeans({ score: 'cluster' })
  await detector.fit([...cloud(100, 20), ...cloud(300, 0)])
  const labels = [...Array<number>(50).fill(1), ...Array<number>(50).fill(0)]
  const scores = detector.decisionFunction([...cloud(50, 20), ...cloud(50, 0)])
  t.equal(rocAuc(labels, scores), 1)
  t.ok(scores[0] > 0 && scores[99] < 0, 'outliers score above 0')
})

t.test('more clusters than distinct rows', async t => {
  const detector = new KMeans({ nClusters: 5 })
  await detector.fit([[0], [0], [1]])
  t.same(detector.decisionFunction([[0], [1], [3]]), Float64Array.of(0, 0, 2))
})
