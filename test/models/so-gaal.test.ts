// SO_GAAL, compared with PyOD's, and its sign.

import t from 'tap'
import { rocAuc, SoGaal } from '../../models/index.js'
import { Random } from '../../models/random.js'
import { tensorflow, tensorflowMissing } from '../support/tensorflow.js'
import { readReference, readStandardised } from './reference.js'

const skip = tensorflowMissing()

function cloud(count: number, seed = 1): number[][] {
  const random = new Random(seed)
  return Array.from({ length: count }, () => Array.from({ length: 5 }, () => 10 + 2 * random.normal()))
}

t.test('the mean AUC is not below that of PyOD', { skip }, async t => {
  const { train, test, testLabels } = readStandardised()
  const theirs = (readReference() as { so_gaal: { test_auc_over_5_seeds: number[] } }).so_gaal.test_auc_over_5_seeds
  let mean = 0
  for (const seed of theirs.keys()) {
    const detector = new SoGaal({ seed })
    await detector.fit(train)
    mean += rocAuc(testLabels, detector.decisionFunction(test)) / theirs.length
  }
  const theirMean = theirs.reduce((sum, auc) => sum + auc) / theirs.length
  t.ok(mean > theirMean - 0.01, `${mean} against ${theirMean}`)
})

t.test('the sign reverses the score', { skip }, async t => {
  const rows = cloud(200)
  const detector = new SoGaal({ stopEpochs: 5 })
  const reversed = new SoGaal({ stopEpochs: 5, sign: 'complement' })
  await detector.fit(rows)
  await reversed.fit(rows)
  const probes = cloud(50, 2)
  t.same(
    reversed.decisionFunction(probes),
    detector.decisionFunction(probes).map(score => -score)
  )
})

t.test('benign rows do not all have the same probability', { skip }, async t => {
  const detector = new SoGaal()
  await detector.fit(cloud(400))
  const probabilities = detector.predictProba(cloud(200, 2)).sort()
  const [low, high] = [probabilities[20], probabilities[180]]
  t.ok(high - low > 0.2 && high < 0.9, `most are between ${low} and ${high}`)
})

t.test('a row far below all others is abnormal, a central row is not', { skip }, async t => {
  const detector = new SoGaal()
  await detector.fit(cloud(400))
  const [middle, far] = detector.decisionFunction([
    Array.from({ length: 5 }, () => 10),
    Array.from({ length: 5 }, () => 0)
  ])
  t.ok(
    far > detector.threshold && middle < detector.threshold,
    `${far} far off, ${middle} in the middle, threshold ${detector.threshold}`
  )
})

t.test('no tensor is leaked, whether training finishes or is aborted', { skip }, async t => {
  if (tensorflow === undefined) throw new Error('skipped')
  const { tf } = tensorflow
  const before = tf.memory().numTensors
  const detector = new SoGaal({ stopEpochs: 1 })
  await detector.fit(cloud(100))
  t.equal(tf.memory().numTensors, before)
  const controller = new AbortController()
  await t.rejects(
    detector.fit(cloud(100), undefined, {
      signal: controller.signal,
      onProgress: ({ done }) => {
        if (done > 0.5) controller.abort(new Error('enough'))
      }
    }),
    { message: 'enough' }
  )
  t.equal(tf.memory().numTensors, before)
})

t.test('it reports epochs and a loss', { skip }, async t => {
  const seen: { done: number; loss: number | undefined }[] = []
  await new SoGaal({ stopEpochs: 2 }).fit(cloud(100), undefined, {
    onProgress: ({ done, total, loss }) => {
      t.equal(total, 6)
      seen.push({ done, loss })
    }
  })
  const losses = seen.flatMap(({ loss }) => loss ?? [])
  t.ok(losses[losses.length - 1] < losses[0], `${losses[0]} to ${losses[losses.length - 1]}`)
})

t.test('training on a single row', { skip }, async t => {
  const detector = new SoGaal({ stopEpochs: 1 })
  await detector.fit(cloud(1))
  t.ok(detector.decisionFunction(cloud(20, 2)).every(Number.isFinite))
})
