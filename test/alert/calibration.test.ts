// Limits learnt from benign traffic, checked against manual calculations. Benign traffic never exceeds them.

import t from 'tap'
import { Random } from '../../models/random.js'
import { baselinesFromJson } from '../../src/alert/baselines.js'
import { Calibration } from '../../src/alert/calibration.js'
import { exceededRules } from '../../src/alert/rules.js'
import { Smoothing, type SmoothingSettings } from '../../src/alert/smoothing.js'
import { GATEWAY, sharesOf, type Share } from '../../src/alert/subjects.js'
import { peer, record } from '../support/records.js'

const SETTINGS: SmoothingSettings = { weight: 0.5, minimumClientPackets: 10, clientCap: 100 }
const QUIET = peer('quiet', 1)
const LOUD = peer('loud', 2)

/** A batch with, per client, a number of records of the same probability. */
function batch(...parts: [typeof QUIET, number, number][]): Map<string, Share> {
  const records = parts.flatMap(([who, count]) => Array.from({ length: count }, () => record(0, { peer: who })))
  const probabilities = parts.flatMap(([, count, probability]) => Array<number>(count).fill(probability))
  return sharesOf(records, probabilities)
}

function near(value: number, expected: number): boolean {
  return Math.abs(value - expected) < 1e-12
}

t.test('means, references and limits', async t => {
  const calibration = new Calibration(SETTINGS)
  // 60 records of 0.125 and 20 of 0.5: a mean of 0.21875
  const batches = [batch([QUIET, 30, 0.125], [LOUD, 10, 0.5]), batch([QUIET, 30, 0.125], [LOUD, 10, 0.5])]
  for (const shares of batches) calibration.observe(shares)
  for (const shares of batches) calibration.dryRun(shares)
  const { gateway, client } = calibration.baselines()
  t.equal(gateway.mean, 0.21875)
  t.ok(near(gateway.reference, 0.23875))
  t.equal(client.mean, 0.21875, 'a new client starts at the overall mean')
  t.ok(near(client.reference, 0.52), 'the most abnormal benign client plus slack')
  // Gateway: both batches have the mean itself, so it never moves.
  t.ok(near(gateway.limits.jump, 0.02))
  t.ok(near(gateway.limits.level, 0.23875))
  t.ok(near(gateway.limits.cusum, 3))
  // The loud client: 0.21875 -> 0.359375 -> 0.4296875, so jumps of 0.140625 and 0.0703125.
  t.ok(near(client.limits.jump, 0.140625 * 1.25 + 0.02))
  t.ok(near(client.limits.level, 0.4296875 + 0.25 * (0.4296875 - 0.21875) + 0.02))
  t.ok(near(client.limits.cusum, 3), 'no client exceeds a reference above the highest')
})

t.test('the CUSUM of benign traffic raises its limit', async t => {
  const calibration = new Calibration(SETTINGS)
  calibration.observe(batch([QUIET, 90, 0], [LOUD, 10, 1]))
  // A reference of 0.12 each: ten records of 1 leave 8.8.
  calibration.dryRun(batch([LOUD, 10, 1]))
  t.ok(near(calibration.baselines().gateway.limits.cusum, 8.8 * 2 + 3))
})

t.test('a client with few packets does not affect the reference', async t => {
  const calibration = new Calibration(SETTINGS)
  calibration.observe(batch([QUIET, 81, 0.1], [LOUD, 19, 0.9]))
  t.ok(near(calibration.baselines().client.reference, 0.252 + 0.02), 'derived from the mean')
})

t.test('limits without any traffic', async t => {
  const { gateway, client } = new Calibration(SETTINGS).baselines()
  for (const baseline of [gateway, client]) {
    t.same(baseline, { mean: 0, reference: 0.02, limits: { jump: 0.02, level: 0.02, cusum: 3 } })
  }
})

t.test('the training traffic never exceeds the limits, an attack does', async t => {
  const random = new Random(5)
  const peers = Array.from({ length: 12 }, (_, i) => peer(`c${i}`, i))
  const batches = Array.from({ length: 200 }, () => {
    const records = Array.from({ length: 1 + random.integer(100) }, () =>
      record(0, { peer: peers[random.integer(12)] })
    )
    return sharesOf(
      records,
      records.map(({ peer }) => random.uniform() ** 3 * (peer === peers[0] ? 1 : 0.6))
    )
  })
  const calibration = new Calibration(SETTINGS)
  for (const shares of batches) calibration.observe(shares)
  for (const shares of batches) calibration.dryRun(shares)
  const baselines = calibration.baselines()
  const ruleNames = (shares: readonly Map<string, Share>[]): string[] => {
    const smoothing = new Smoothing(baselines, SETTINGS)
    const all: string[] = []
    for (const part of shares)
      smoothing.update(part, (key, _share, figures, baseline) => {
        all.push(...exceededRules(figures, baseline).map(({ rule }) => `${key} ${rule}`))
      })
    return all
  }
  t.same(ruleNames(batches), [])
  const attack = Array.from({ length: 10 }, () => batch([peer('attacker', 99), 60, 0.95], [peers[1], 10, 0.1]))
  const exceeded = new Set(ruleNames(attack))
  for (const rule of ['jump', 'level', 'cusum']) t.ok(exceeded.has(`192.0.2.7 attacker ${rule}`), rule)
  t.ok([...exceeded].some(name => name.startsWith(GATEWAY)))
  t.notOk(
    [...exceeded].some(name => name.includes('c1')),
    'an uninvolved client exceeds no limit'
  )
})

t.test('limits are restored from JSON, invalid JSON is rejected', async t => {
  const { gateway, client } = new Calibration(SETTINGS).baselines()
  t.same(baselinesFromJson(JSON.parse(JSON.stringify({ gateway, client }))), { gateway, client })
  for (const wrong of [
    undefined,
    null,
    7,
    'x',
    [],
    {},
    { gateway },
    { gateway, client: null },
    { gateway, client: { ...client, mean: '0' } },
    { gateway, client: { ...client, reference: null } },
    { gateway, client: { ...client, limits: { jump: 1, level: 1 } } },
    { gateway, client: { ...client, limits: { ...client.limits, cusum: null } } }
  ])
    t.equal(baselinesFromJson(wrong), undefined, JSON.stringify(wrong))
})
