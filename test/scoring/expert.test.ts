// An expert distinguishes a flood from telemetry, explains its scores, and is restored from JSON.

import t from 'tap'
import { rocAuc } from '../../models/index.js'
import { Expert } from '../../src/scoring/expert.js'
import { flood, telemetry, values } from '../features/feature-values.js'

const benign = telemetry(400, 1)
const probe = [...telemetry(100, 2), ...flood(100, 3)]
const labels = Uint8Array.from(probe, (_, i) => Number(i >= 100))

for (const variant of ['wire', 'broker'] as const) {
  t.test(`${variant}: a flood scores above telemetry`, async t => {
    const expert = await Expert.fit(benign, { variant, detector: 'iforest', seed: 1 })
    const seen = [...probe.keys()].filter(i => variant === 'wire' || probe[i].mqtt_msg_type !== null)
    const { scores, probabilities } = expert.score(seen.map(i => probe[i]))
    const auc = rocAuc(
      seen.map(i => labels[i]),
      scores
    )
    t.ok(auc > 0.9, `AUC ${auc}`)
    t.ok(probabilities.every(value => value >= 0 && value <= 1))
    t.equal(expert.training.rows, variant === 'wire' ? 400 : 200, 'the broker learns from MQTT packets only')
  })
}

t.test('the same records, options and seed give the same expert', async t => {
  const fit = (seed: number) => Expert.fit(benign, { variant: 'wire', detector: 'iforest', seed })
  const [one, same, other] = [await fit(1), await fit(1), await fit(2)]
  t.same(same.score(probe), one.score(probe))
  t.notSame(other.score(probe), one.score(probe))
  t.equal(one.training.digest, other.training.digest, 'the digest depends on the data only')
  t.not(
    (await Expert.fit(telemetry(400, 9), { variant: 'wire', detector: 'iforest' })).training.digest,
    one.training.digest
  )
})

t.test('contributions name the abnormal features of a record, without its payload', async t => {
  const expert = await Expert.fit(benign, { variant: 'wire', detector: 'iforest', seed: 1 })
  const odd = { ...telemetry(1, 5)[0], tcp_w_size: 9 }
  const [first] = expert.contributions(odd)
  t.match(first, { feature: 'tcp_w_size', value: 9 })
  t.ok(first.contribution > 0)
  const shares = expert.contributions(flood(1, 5)[0])
  t.equal(shares.length, 3)
  t.same(
    shares.map(({ contribution }) => contribution).sort((a, b) => b - a),
    shares.map(({ contribution }) => contribution)
  )
  const payload = shares.find(({ feature }) => feature === 'mqtt_msg')
  t.type(payload?.value, 'number')
})

t.test('a column that hardly varied in training is clipped, a constant one is dropped', async t => {
  const records = benign.map((record, i) => ({ ...record, tcp_fin_flag: Number(i === 7) }))
  const expert = await Expert.fit(records, { variant: 'wire', detector: 'iforest' })
  const row = expert.scaler.transform(expert.encoding.encode({ ...records[0], tcp_fin_flag: 1e9, tcp_urg_flag: 1e9 }))
  t.ok(row.every(value => Math.abs(value) <= 10))
})

t.test('an expert restored from JSON gives identical scores', async t => {
  const expert = await Expert.fit(benign, { variant: 'wire', detector: 'iforest' })
  const loaded = Expert.fromJSON(JSON.parse(JSON.stringify(expert)))
  t.same(loaded.score(probe), expert.score(probe))
  t.same(loaded.contributions(probe[150]), expert.contributions(probe[150]))
  t.same(loaded.training, expert.training)
})

t.test('inconsistent parts are rejected', async t => {
  const wire = (await Expert.fit(benign, { variant: 'wire', detector: 'iforest' })).toJSON()
  const broker = (await Expert.fit(benign, { variant: 'broker', detector: 'iforest' })).toJSON()
  t.throws(() => Expert.fromJSON({ ...wire, detector: broker.detector }), { code: 'state' })
  t.throws(() => Expert.fromJSON({ ...wire, scaler: broker.scaler }), { code: 'state' })
  t.throws(() => Expert.fromJSON({ ...wire, medians: broker.medians }), { code: 'state' })
  t.throws(() => Expert.fromJSON({ ...wire, variant: 'radio' }), { code: 'state' })
})

t.test('invalid input throws an OperatorError', async t => {
  const fit = (options: object, records = benign) =>
    Expert.fit(records, { variant: 'wire', detector: 'iforest', ...options })
  await t.rejects(fit({ parameters: { trees: 3 } }), { name: 'OperatorError', code: 'training-parameter' })
  await t.rejects(fit({ contamination: 2 }), { name: 'OperatorError', code: 'training-parameter' })
  await t.rejects(fit({ features: 'weather' }), { name: 'OperatorError', code: 'features-unknown' })
  await t.rejects(fit({ labels: [1] }), { name: 'OperatorError', code: 'training-labels' })
  await t.rejects(fit({}, []), { name: 'OperatorError', code: 'training-data' })
  await t.rejects(fit({}, [values()]), { name: 'OperatorError', code: 'training-data' })
  await t.rejects(fit({ signal: AbortSignal.abort(new Error('enough')) }), { message: 'enough' })
})
