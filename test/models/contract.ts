// The contract of all detectors, checked for each entry of the catalog.

import t, { type Test } from 'tap'
import { createDetector, DetectorError, loadDetector, rocAuc, type DetectorKind } from '../../models/index.js'
import { toySet, type ToySet } from './toy-set.js'

/** Differences between detectors. */
export interface ContractTraits {
  /** Minimum ROC AUC on the test rows of the toy set. */
  aucFloor: number
  /** Parameters that keep the run short. */
  parameters?: Record<string, unknown>
  /** Whether the detector needs labels. */
  supervised?: boolean
  /** Why the detector cannot run on this machine. */
  skip?: string | false
}

/** Checks the contract for one detector, as a subtest. */
export function checkContract(
  kind: DetectorKind,
  { aucFloor, parameters = {}, supervised = false, skip = false }: ContractTraits
): void {
  const toy = toySet()
  const labels = supervised ? toy.trainLabels : undefined

  async function fitted(options: Record<string, unknown> = {}, rows = toy.train) {
    const detector = createDetector(kind, { ...parameters, ...options })
    await detector.fit(rows, labels)
    return detector
  }

  void t.test(kind, { skip }, async t => {
    const detector = await fitted({ seed: 7 })
    const scores = detector.decisionFunction(toy.test)

    t.equal(detector.kind, kind)
    t.equal(detector.width, toy.train[0].length)

    t.test('the same seed gives the same scores', async t => {
      const again = await fitted({ seed: 7 })
      t.same(again.decisionFunction(toy.test), scores)
      t.equal(again.threshold, detector.threshold)
    })

    t.test('a score does not depend on its batch', async t => {
      const reversed = detector.decisionFunction(toy.test.toReversed()).toReversed()
      t.same(reversed, scores)
      const single = Float64Array.from(toy.test, row => detector.decisionFunction([row])[0])
      t.same(single, scores)
      t.same(detector.decisionFunction([]), new Float64Array(0))
    })

    t.test('unbounded scores are in the same order', async t => {
      const unbounded = detector.unbounded(toy.test)
      const order = [...scores.keys()].sort((a, b) => scores[a] - scores[b])
      // At the limit of the score, only the unbounded score increases.
      t.ok(
        order.every(
          (row, i) =>
            Number.isFinite(unbounded[row]) &&
            (i === 0 || scores[row] === scores[order[i - 1]] || unbounded[row] >= unbounded[order[i - 1]])
        )
      )
    })

    t.test('a detector restored from JSON gives identical scores', async t => {
      const loaded = loadDetector(JSON.parse(JSON.stringify(detector)))
      t.same(loaded.decisionFunction(toy.test), scores)
      t.equal(loaded.threshold, detector.threshold)
      t.same(loaded.predictProba(toy.test, 'unify'), detector.predictProba(toy.test, 'unify'))
      t.same(loaded.parameters, detector.parameters)
      t.same(JSON.stringify(loaded), JSON.stringify(detector))
    })

    t.test('incomplete JSON is rejected', async t => {
      const json = JSON.stringify(detector)
      const { state } = JSON.parse(json) as { state: Record<string, unknown> }
      for (const field of Object.keys(state)) {
        const broken = JSON.parse(json) as { state: Record<string, unknown> }
        broken.state[field] = typeof state[field] === 'string' ? 'AA==' : null
        t.throws(() => loadDetector(broken), { name: 'DetectorError' }, `with invalid ${field}`)
        Reflect.deleteProperty(broken.state, field)
        t.throws(() => loadDetector(broken), { name: 'DetectorError' }, `without ${field}`)
      }
      t.throws(() => loadDetector(null), { code: 'state' })
      t.throws(() => loadDetector({ kind: 'horoscope', state }), { code: 'state' })
    })

    t.test('invalid input is rejected', async t => {
      const unfitted = createDetector(kind, parameters)
      t.throws(() => unfitted.decisionFunction(toy.test), { code: 'unfitted' })
      t.throws(() => unfitted.predictProba(toy.test), { code: 'unfitted' })
      t.throws(() => unfitted.threshold, { code: 'unfitted' })
      t.throws(() => unfitted.toJSON(), { code: 'unfitted' })
      const row = toy.test[0]
      t.throws(() => detector.decisionFunction([row.slice(1)]), { code: 'width' })
      t.throws(() => detector.decisionFunction([[...row, 0]]), { code: 'width' })
      for (const value of [NaN, Infinity, -Infinity]) {
        t.throws(() => detector.decisionFunction([row.with(2, value)]), { code: 'not-finite' })
        await t.rejects(fitted({}, toy.train.with(0, row.with(2, value))), { code: 'not-finite' })
      }
      await t.rejects(createDetector(kind, parameters).fit([]), { code: 'rows' })
      await t.rejects(createDetector(kind, parameters).fit(toy.train, [1]), { code: 'labels' })
      t.throws(() => createDetector(kind, { contamination: 0.6 }), { code: 'parameter' })
      t.throws(() => createDetector(kind, { horoscope: 1 }), { code: 'parameter' })
    })

    t.test('threshold and probabilities are derived from the training scores', async t => {
      const { trainingScores } = detector
      if (trainingScores === undefined) throw new DetectorError('unfitted', 'no training scores')
      t.equal(trainingScores.length, toy.train.length)
      const above = trainingScores.filter(score => score > detector.threshold).length
      t.ok(above <= Math.ceil(0.1 * toy.train.length), `${above} of ${toy.train.length} above the threshold`)
      t.same(
        detector.predict(toy.test),
        Uint8Array.from(scores, score => Number(score > detector.threshold))
      )
      for (const method of ['linear', 'unify'] as const) {
        const probabilities = detector.predictProba(toy.test, method)
        t.ok(
          probabilities.every(value => value >= 0 && value <= 1),
          `${method} is in [0, 1]`
        )
        const rising = [...scores.keys()].sort((a, b) => scores[a] - scores[b]).map(i => probabilities[i])
        t.ok(
          rising.every((value, i) => i === 0 || value >= rising[i - 1]),
          `${method} increases with the score`
        )
      }
      const [low, high] = [Math.min(...trainingScores), Math.max(...trainingScores)]
      const [first, half, last] = detector.probabilities(Float64Array.of(low, (low + high) / 2, high))
      t.same([first, last], [0, 1])
      t.ok(Math.abs(half - 0.5) < 1e-12)
    })

    t.test('constant columns', t => checkConstantColumns(t, toy, fitted))

    t.test('an aborted detector is unfitted', async t => {
      const detector = createDetector(kind, parameters)
      const reason = new Error('enough')
      await t.rejects(detector.fit(toy.train, labels, { signal: AbortSignal.abort(reason) }), reason)
      const controller = new AbortController()
      await t.rejects(
        detector.fit(toy.train, labels, {
          signal: controller.signal,
          onProgress: () => {
            controller.abort(reason)
          }
        }),
        reason
      )
      t.throws(() => detector.decisionFunction(toy.test), { code: 'unfitted' })
    })

    t.test('progress reaches its total', async t => {
      const detector = createDetector(kind, parameters)
      const seen: number[] = []
      await detector.fit(toy.train, labels, {
        onProgress: ({ done, total }) => {
          seen.push(done / total)
        }
      })
      t.ok(seen.length > 0)
      t.ok(seen.every((share, i) => share >= 0 && share <= 1 && (i === 0 || share >= seen[i - 1])))
      t.equal(seen.at(-1), 1)
    })

    t.test('it distinguishes outliers from inliers', async t => {
      const auc = rocAuc(toy.testLabels, scores)
      t.ok(auc >= aucFloor, `AUC ${auc.toFixed(4)} against ${aucFloor}`)
    })
  })
}

async function checkConstantColumns(
  t: Test,
  toy: ToySet,
  fit: (options: Record<string, unknown>, rows: number[][]) => Promise<ReturnType<typeof createDetector>>
): Promise<void> {
  const withConstant = (rows: number[][], value: number) => rows.map(row => [...row, value])
  const detector = await fit({}, withConstant(toy.train, 3))
  const auc = rocAuc(toy.testLabels, detector.decisionFunction(withConstant(toy.test, 3)))
  t.ok(auc > 0.7, `AUC ${auc.toFixed(4)} with a constant column`)
  for (const value of [4, -1e6, 1e12]) {
    const rows = withConstant(toy.test, value)
    t.ok(detector.decisionFunction(rows).every(Number.isFinite), `scores are finite if it changes to ${value}`)
    t.ok(detector.predictProba(rows).every(value => value >= 0 && value <= 1))
  }
  const still = await fit(
    {},
    toy.train.map(() => [1, 2, 3])
  )
  t.ok(
    still
      .decisionFunction([
        [1, 2, 3],
        [9, 9, 9]
      ])
      .every(Number.isFinite),
    'only constant columns'
  )
  t.ok(
    still
      .predictProba(
        [
          [1, 2, 3],
          [9, 9, 9]
        ],
        'unify'
      )
      .every(value => value >= 0 && value <= 1)
  )
}
