// The autoencoder, compared with PyOD's and with manual calculations.

import t from 'tap'
import { Autoencoder, rocAuc } from '../../models/index.js'
import { Random } from '../../models/random.js'
import { tensorflow, tensorflowMissing } from '../support/tensorflow.js'
import { readReference, readStandardised } from './reference.js'

const skip = tensorflowMissing()

/** Rows with a second column that equals the first plus noise, and an independent third column. */
function line(count: number, seed = 1): number[][] {
  const random = new Random(seed)
  return Array.from({ length: count }, () => {
    const value = random.normal()
    return [value, value + 0.05 * random.normal(), random.normal()]
  })
}

t.test('the mean AUC is that of PyOD', { skip }, async t => {
  const { train, test, testLabels } = readStandardised()
  const theirs = (readReference() as { autoencoder: { test_auc_over_3_seeds: number[] } }).autoencoder
    .test_auc_over_3_seeds
  let mean = 0
  for (const seed of theirs.keys()) {
    const detector = new Autoencoder({ seed })
    await detector.fit(train)
    mean += rocAuc(testLabels, detector.decisionFunction(test)) / theirs.length
  }
  const theirMean = theirs.reduce((sum, auc) => sum + auc) / theirs.length
  t.ok(mean > theirMean - 0.01, `${mean} against ${theirMean}`)
})

t.test('it learns the correlation of columns', { skip }, async t => {
  const detector = new Autoencoder({ codeUnits: 2, hiddenUnits: 16, dropout: 0, epochs: 30 })
  await detector.fit(line(1000))
  const [on, off] = detector.decisionFunction([
    [1.5, 1.5, 0],
    [1.5, -1.5, 0]
  ])
  t.ok(off > 3 * on, `${off} off the line, ${on} on it`)
  t.ok(off < 3, 'in standard deviations')
})

t.test('a constant training column has no effect, one that hardly varied is clipped', { skip }, async t => {
  const rows = line(300).map((row, i) => [...row, 7, i === 0 ? 1e-6 : 0])
  const detector = new Autoencoder({ epochs: 2 })
  await detector.fit(rows)
  const base = [1, 1, 0, 7, 0]
  const [still, moved, leapt, farther] = detector.decisionFunction([
    base,
    base.with(3, 1e9),
    base.with(4, 1),
    base.with(4, 1e9)
  ])
  t.equal(moved, still)
  t.ok(leapt > still)
  t.equal(farther, leapt, 'clipped')
  t.ok(leapt < 50, `${leapt}`)
})

t.test('it reports epochs and a decreasing loss', { skip }, async t => {
  const seen: [number, number, number | undefined][] = []
  const detector = new Autoencoder({ epochs: 6, batchSize: 50 })
  await detector.fit(line(400), undefined, {
    onProgress: ({ done, total, loss }) => {
      seen.push([done, total, loss])
    }
  })
  t.ok(seen.every(([, total]) => total === 6))
  const losses = new Map(
    seen.filter(([done, , loss]) => Number.isInteger(done) && loss !== undefined).map(([done, , loss]) => [done, loss])
  )
  t.same([...losses.keys()], [1, 2, 3, 4, 5, 6])
  t.ok(Number(losses.get(6)) < 0.9 * Number(losses.get(1)), `${losses.get(1)} to ${losses.get(6)}`)
})

t.test('no tensor is leaked, whether training finishes or is aborted', { skip }, async t => {
  if (tensorflow === undefined) throw new Error('skipped')
  const { tf } = tensorflow
  const before = tf.memory().numTensors
  const detector = new Autoencoder({ epochs: 2 })
  await detector.fit(line(200))
  t.equal(tf.memory().numTensors, before)
  const controller = new AbortController()
  await t.rejects(
    detector.fit(line(200), undefined, {
      signal: controller.signal,
      onProgress: ({ done }) => {
        if (done > 0.5) controller.abort(new Error('enough'))
      }
    }),
    { message: 'enough' }
  )
  t.equal(tf.memory().numTensors, before)
})

t.test("the paper's network has an output between 0 and 1", { skip }, async t => {
  const detector = new Autoencoder({ network: 'pyod-1', epochs: 3 })
  await detector.fit(line(300))
  const far = [-9, -9, -9]
  const { state } = detector.toJSON()
  t.same((state.network as { activations: string[] }).activations, [
    'relu',
    'relu',
    'relu',
    'relu',
    'relu',
    'relu',
    'sigmoid'
  ])
  const [score] = detector.decisionFunction([far])
  t.ok(score >= Math.hypot(...far), 'a negative value cannot be reconstructed')
  const modern = new Autoencoder({ epochs: 3 })
  await modern.fit(line(300))
  t.ok(modern.decisionFunction([far])[0] < score)
})

t.test('training on fewer rows than a batch', { skip }, async t => {
  for (const count of [1, 2, 5]) {
    const detector = new Autoencoder({ epochs: 2 })
    await detector.fit(line(count))
    t.ok(detector.decisionFunction(line(50, 2)).every(Number.isFinite), `${count} rows`)
  }
})

t.test('a saved network of another width is rejected', { skip }, async t => {
  const detector = new Autoencoder({ epochs: 1 })
  const other = new Autoencoder({ epochs: 1 })
  await detector.fit(line(50))
  await other.fit(line(50).map(row => [...row, row[0] ** 2]))
  const json = detector.toJSON()
  json.state.network = other.toJSON().state.network
  t.throws(() => Autoencoder.fromJSON(json), { code: 'state' })
})
