// Training on existing records: which are learned, what the model contains, and how to abort it.

import t from 'tap'
import { createDetector, DETECTOR_KINDS } from '../../models/index.js'
import { trainModel, type TrainingPlan } from '../../src/training/offline-training.js'
import { PAPER_SETTINGS } from '../../src/scoring/paper.js'
import { columnsOf } from '../../src/features/columns.js'
import { bestFeatures } from '../../src/features/selection.js'
import type { TrafficRecord } from '../../src/record.js'
import { detectionSettings } from '../../src/settings.js'
import { CaptureRecords } from '../../src/join/capture-records.js'
import { ATTACKER, attackedCapture } from '../support/labelled-traffic.js'

const records: TrafficRecord[] = []
new CaptureRecords(
  record => {
    records.push(record)
  },
  { ports: [1883] }
).push(attackedCapture(3, 100))
const labels = records.map(({ features: { src_ip: from, dst_ip: to } }) =>
  from === ATTACKER || to === ATTACKER ? 'flood' : null
)
const attacks = labels.filter(label => label !== null).length
const benign = records.length - attacks

const { batch, smoothing } = detectionSettings({})
const FAST: Record<string, Record<string, number>> = {
  'random-forest': { nEstimators: 10 },
  iforest: { nEstimators: 20 },
  ocsvm: { nu: 0.1 }
}

function plan(
  kind: TrainingPlan['detector']['kind'],
  given: Partial<TrainingPlan['detector']> = {},
  contaminated = false
): TrainingPlan {
  const detector = {
    kind,
    contamination: 0.05,
    seed: 1,
    features: 'table1-no-identity',
    parameters: FAST[kind] ?? {},
    ...given
  }
  return { detector, contaminated, batch, smoothing }
}

t.test('without labels, all records are learned', async t => {
  const model = await trainModel(records, undefined, plan('iforest'))
  t.equal(model.rows.wire, records.length)
  t.equal(model.metrics, undefined)
  t.ok(Number.isFinite(model.baselines.gateway.limits.level))
})

t.test('with labels, an unsupervised detector learns from the benign records only', async t => {
  const model = await trainModel(records, labels, plan('ocsvm'))
  t.equal(model.rows.wire, benign)
  t.match(model.metrics, { rows: records.length, attackRows: attacks, perLabel: { flood: { rows: attacks } } })
  t.ok((model.metrics as { rocAuc: number }).rocAuc > 0.9, 'and separates the attacks')
  const { gateway, client } = model.baselines
  t.ok(gateway.limits.level < 1 && client.limits.level < 1, 'limits come from benign traffic')
})

t.test('contaminated: all records are learned, and the limits come from the benign ones', async t => {
  const wanted = plan(
    'kmeans',
    { parameters: { score: 'cluster', nClusters: 3 }, features: 'packet_length,mqtt_len' },
    true
  )
  const model = await trainModel(records, labels, wanted)
  t.equal(model.rows.wire, records.length)
  t.ok((model.metrics as { rocAuc: number }).rocAuc > 0.9, 'the smallest cluster is the flood')
  const unlabelled = await trainModel(records, undefined, wanted)
  t.ok(unlabelled.baselines.gateway.limits.level > model.baselines.gateway.limits.level)
})

t.test('a random forest scores its training records out of bag', async t => {
  const model = await trainModel(records, labels, plan('random-forest'))
  t.equal(model.rows.wire, records.length)
  const own = model.score(records).scores
  const held = model.scoreTraining(records).scores
  const total = (scores: Float64Array): number =>
    scores.reduce((sum, score, i) => sum + (labels[i] === null ? score : 0), 0)
  t.ok(total(held) > total(own), 'benign records score higher out of bag')
})

t.test('the scores of the training records are in record order', async t => {
  // Isolation trees score a row the same whether they were trained on it or not, so both scores only differ for
  // payloads.
  const model = await trainModel(records, undefined, plan('iforest', { features: 'tcp_len,tcp_delta,mqtt_len' }))
  t.same(model.scoreTraining(records), model.score(records))
  const few = records.slice(0, 200)
  const broker = await trainModel(few, undefined, plan('iforest', { features: 'tcp_len,tcp_delta,mqtt_len' }))
  t.equal(broker.hasWireExperts, false)
  t.same(broker.scoreTraining(few), broker.score(few))
  t.ok(broker.score(few).scores.some(Number.isNaN), 'frames without a packet are not scored')
})

t.test('best24 is selected by labels, or by the built-in list without labels', async t => {
  const chosen = await trainModel(records, labels, plan('iforest', { features: 'best24' }))
  const best = bestFeatures(
    records.map(({ features }) => features),
    labels.map(label => Number(label !== null))
  )
  const { columns = [], dropped = [] } = chosen.experts.wire ?? {}
  t.same([...columns, ...dropped].sort(), [...best].sort())
  t.ok(best.length <= 24 && best.includes('mqtt_msg') && best.includes('tcp_len'))
  t.equal(columnsOf('best24', 'wire').length, 24)
  const stored = await trainModel(records, undefined, plan('iforest', { features: 'best24' }))
  const { wire } = stored.experts
  t.equal(Number(wire?.columns.length) + Number(wire?.dropped.length), 24)
})

t.test('unsuitable input is refused with the reason', async t => {
  const attack = records.filter((_, i) => labels[i] !== null)
  const named = attack.map(() => 'flood')
  const bare = records.filter(({ features }) => features.mqtt_msg_type === null)
  await t.rejects(trainModel([], undefined, plan('iforest')), { code: 'training-data', message: /no records/ })
  await t.rejects(trainModel(attack, named, plan('iforest')), {
    code: 'training-labels',
    message: /labelled as attacks/,
    remedy: /--contaminated/
  })
  await t.rejects(trainModel(attack, named, plan('random-forest')), {
    code: 'training-labels',
    message: /labelled an attack/
  })
  await t.rejects(
    trainModel(
      records,
      records.map(() => null),
      plan('random-forest')
    ),
    { code: 'training-labels', message: /labelled benign/ }
  )
  await t.rejects(trainModel(records, undefined, plan('random-forest')), { code: 'training-labels' })
  await t.rejects(trainModel(bare, undefined, plan('iforest')), {
    code: 'training-data',
    message: /MQTT packet/,
    remedy: /--mqtt-port/
  })
})

t.test('it can be aborted at any step', async t => {
  for (const wanted of ['broker', 'wire']) {
    const abort = new AbortController()
    const run = trainModel(records, undefined, plan('iforest'), {
      signal: abort.signal,
      onProgress: ({ done, total }, variant) => {
        t.ok(done <= total)
        if (variant === wanted) abort.abort(new Error('enough'))
      }
    })
    await t.rejects(run, { message: 'enough' })
  }
})

t.test('the paper has settings for its seven detectors', t => {
  const seven = ['autoencoder', 'so-gaal', 'random-forest', 'iforest', 'ocsvm', 'kmeans', 'birch']
  t.same(Object.keys(PAPER_SETTINGS), seven)
  for (const kind of DETECTOR_KINDS.filter(name => seven.includes(name))) {
    const settings = PAPER_SETTINGS[kind]
    t.doesNotThrow(
      () => createDetector(kind, { ...settings?.parameters, contamination: settings?.contamination }),
      kind
    )
    t.ok(columnsOf(settings?.features ?? '', 'broker').length > 0, kind)
  }
  t.end()
})
