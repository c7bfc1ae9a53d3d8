// In-place training: its duration, its sample, and the resulting model with alert limits.

import t from 'tap'
import { Random } from '../../models/random.js'
import { DEFAULT_SMOOTHING } from '../../src/alert/smoothing.js'
import { SAMPLE_CAP, TrainingSample } from '../../src/training/training-sample.js'
import type { TrafficRecord } from '../../src/record.js'
import { GuardModel } from '../../src/scoring/guard-model.js'
import { InPlaceTraining, type TrainingSettings } from '../../src/training/in-place-training.js'
import { telemetry } from '../features/feature-values.js'
import { peer, record, START } from '../support/records.js'
import { waitUntil } from '../support/wait-until.js'

function learning(seconds: number, minimumRecords: number): TrainingSample {
  return new TrainingSample({ seconds, minimumRecords }, new Random(1))
}

t.test('it lasts for the configured packet time and number of records', async t => {
  const both = learning(100, 10)
  t.equal(both.progress, 0)
  both.tick(START)
  both.tick(START + 500)
  t.equal(both.progress, 0, 'does not start without a record')
  for (let i = 0; i < 10; i++) both.push(record(i))
  t.equal(both.seen, 10)
  t.ok(Math.abs(both.progress - 0.09) < 1e-9, 'the lower of the two')
  both.tick(START + 50)
  both.tick(START + 69.9)
  t.notOk(both.isFitDue)
  both.tick(START + 70)
  t.ok(both.isFitDue)
  both.tick(START + 99)
  t.notOk(both.isOver)
  both.tick(START + 100)
  t.ok(both.isOver)

  const few = learning(1, 100)
  few.push(record(0))
  few.push(record(50))
  t.ok(Math.abs(few.progress - 0.02) < 1e-9)
  const atOnce = learning(0, 0)
  t.notOk(atOnce.isOver)
  atOnce.push(record(0))
  t.ok(atOnce.isOver)
})

t.test('setting the clock neither ends nor delays it', async t => {
  const forwards = learning(600, 1)
  forwards.push(record(0))
  forwards.push(record(86_400 * 365))
  t.ok(forwards.progress <= 0.1, 'a clock step of a year does not count as a year of traffic')
  forwards.tick(START + 86_400 * 365 + 30)
  t.ok(forwards.progress > 0.1)

  const backwards = learning(100, 1)
  backwards.push(record(86_400))
  backwards.push(record(86_450))
  backwards.push(record(0))
  t.ok(Math.abs(backwards.progress - 0.5) < 1e-9)
  backwards.push(record(50))
  t.ok(backwards.isOver)

  const unordered = learning(100, 1)
  for (let i = 0; i < 1_000; i++) unordered.push(record(i % 2 === 0 ? 1 : 0))
  t.ok(unordered.progress < 0.02, 'out-of-order records do not add up')
})

t.test('it keeps a uniform sample of bounded size, in order', async t => {
  const fair = learning(1, 1)
  const count = 3 * SAMPLE_CAP
  for (let i = 0; i < count; i++) fair.push(record(0, { frame: i }))
  const kept = fair.take().map(({ frame }) => frame ?? -1)
  t.equal(kept.length, SAMPLE_CAP)
  t.ok(kept.every((frame, i) => i === 0 || frame > kept[i - 1]))
  for (const third of [0, 1, 2]) {
    const share = kept.filter(frame => Math.floor(frame / SAMPLE_CAP) === third).length / SAMPLE_CAP
    t.ok(Math.abs(share - 1 / 3) < 0.02, `${share.toFixed(3)} from third ${third + 1}`)
  }
  fair.push(record(0))
  t.equal(fair.seen, count + 1)
  t.same(fair.take(), [], 'later records are only counted')
})

const SETTINGS: TrainingSettings = {
  learn: { seconds: 10, minimumRecords: 400 },
  detector: { kind: 'iforest', contamination: 0.01, seed: 1, features: 'table1-no-identity' },
  batch: { records: 50, milliseconds: 200 },
  smoothing: DEFAULT_SMOOTHING
}

const CLIENTS = Array.from({ length: 5 }, (_, i) => peer(`sensor-${i}`, i))

function benign(count: number, seed: number): TrafficRecord[] {
  return telemetry(count, seed).map((features, i) => record(i / 40, { features, peer: CLIENTS[i % 5], frame: i + 1 }))
}

function trainingOf(settings = SETTINGS) {
  const learnt: GuardModel[] = []
  const failed: Error[] = []
  return {
    learnt,
    failed,
    training: new InPlaceTraining(
      settings,
      new Random(1),
      model => {
        learnt.push(model)
      },
      error => {
        failed.push(error)
      }
    )
  }
}

t.test('it collects, fits, calibrates and reports the model once', async t => {
  const { training, learnt, failed } = trainingOf()
  const records = benign(500, 1)
  t.equal(training.phase, 'collecting')
  for (const each of records.slice(0, 300)) training.push(each)
  t.equal(training.phase, 'fitting')
  for (const each of records.slice(300, 350)) training.push(each)
  await waitUntil('the calibration', () => training.phase !== 'fitting')
  t.equal(training.phase, 'calibrating')
  t.same(learnt, [])
  for (const each of records.slice(350, 400)) training.push(each)
  training.tick(START + 10)
  t.equal(training.phase, 'over')
  for (const each of records.slice(400)) training.push(each)
  training.tick(START + 99)
  t.equal(learnt.length, 1)
  t.same(failed, [])
  t.equal(training.seen, 400)
  t.equal(training.dropped, 0)
  const [model] = learnt
  const { gateway, client } = model.baselines
  for (const { limits, mean } of [gateway, client]) {
    t.ok(mean > 0 && mean < 1)
    t.ok(limits.jump > 0.02 && limits.level > mean && limits.cusum >= 3 && Number.isFinite(limits.cusum))
  }
  t.ok(model.hasWireExperts, 'there were enough frames')
})

t.test('training records are scored as held-out records', async t => {
  const detector = { ...SETTINGS.detector, kind: 'birch', parameters: { threshold: 0.01 } } as const
  const { training, learnt } = trainingOf({ ...SETTINGS, detector })
  const records = benign(400, 1)
  const fitted: TrafficRecord[] = []
  for (const each of records) {
    if (training.phase === 'collecting') fitted.push(each)
    training.push(each)
  }
  training.tick(START + 10)
  await waitUntil('the training to finish', () => learnt.length === 1)
  const model = await GuardModel.fit(fitted, detector)
  const mean = (probabilities: Float64Array): number =>
    probabilities.reduce((sum, probability) => sum + probability, 0) / probabilities.length
  const [heldOut, plain] = [mean(model.scoreTraining(fitted).probabilities), mean(model.score(fitted).probabilities)]
  t.ok(heldOut > plain + 0.05, `${heldOut} held out, ${plain} plain`)
  t.ok(Math.abs(learnt[0].baselines.gateway.mean - heldOut) < 1e-9)
})

t.test('records that arrive during fitting are used for calibration', async t => {
  const { training, learnt } = trainingOf()
  const records = benign(400, 1)
  for (const each of records) training.push(each)
  training.tick(START + 10)
  t.equal(training.phase, 'fitting')
  await waitUntil('the training to finish', () => learnt.length === 1)
  t.equal(training.phase, 'over')
})

t.test("the training ignores the detection's own messages", async t => {
  const { training } = trainingOf()
  training.push(record(0, { own: true }))
  t.equal(training.seen, 0)
})

t.test('unsuitable records are reported as an error', async t => {
  const { training, learnt, failed } = trainingOf()
  for (let i = 0; i < 300; i++) training.push(record(i / 30))
  await waitUntil('the failure', () => failed.length === 1)
  t.match(failed[0], { code: 'training-data' })
  t.equal(training.phase, 'over')
  training.push(record(20))
  t.same(learnt, [])
})
