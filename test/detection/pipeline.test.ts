// From records to alerts: benign traffic raises no alert, a flood raises one that is attributed to its sender alone.

import t from 'tap'
import { Random } from '../../models/random.js'
import type { Alert } from '../../src/alert/alert.js'
import { DEFAULT_SMOOTHING } from '../../src/alert/smoothing.js'
import { Pipeline } from '../../src/detection/pipeline.js'
import type { TrafficRecord } from '../../src/record.js'
import type { Offender } from '../../src/respond/response.js'
import type { GuardModel } from '../../src/scoring/guard-model.js'
import { InPlaceTraining } from '../../src/training/in-place-training.js'
import { flood, telemetry } from '../features/feature-values.js'
import { peer, record, START } from '../support/records.js'

const BATCH = { records: 100, milliseconds: 200 }
const CLIENTS = Array.from({ length: 8 }, (_, i) => peer(`sensor-${i}`, i + 1))
const ATTACKER = peer('attacker', 66)
/** Another client at the same address. */
const NEIGHBOUR = CLIENTS[3]

function benign(count: number, seed: number, from = 0): TrafficRecord[] {
  return telemetry(count, seed).map((features, i) =>
    record(from + i / 200, {
      features,
      peer: CLIENTS[Math.floor(i / 2) % 8],
      frame: i + 1,
      direction: i % 16 < 12 ? 'in' : 'out'
    })
  )
}

function attack(count: number, from: number, sender = ATTACKER): TrafficRecord[] {
  return flood(count, 9).map((features, i) => record(from + i / 200, { features, peer: sender, frame: i + 1 }))
}

const model = await new Promise<GuardModel>((resolve, reject) => {
  const training = new InPlaceTraining(
    {
      learn: { seconds: 0, minimumRecords: 2_000 },
      detector: { kind: 'iforest', contamination: 0.01, seed: 1, features: 'table1-no-identity' },
      batch: BATCH,
      smoothing: DEFAULT_SMOOTHING
    },
    new Random(1),
    resolve,
    reject
  )
  for (const each of benign(2_000, 1)) training.push(each)
})

function guard() {
  const alerts: Alert[] = []
  const offences: Offender[] = []
  const pipeline = new Pipeline(
    model,
    { batch: BATCH, smoothing: DEFAULT_SMOOTHING, response: 'ban' },
    {
      onAlert: alert => {
        alerts.push(alert)
      },
      onOffence: offender => {
        offences.push(offender)
      }
    }
  )
  return {
    alerts,
    offences,
    pipeline,
    push: (records: readonly TrafficRecord[]) => {
      for (const each of records) pipeline.push(each)
    }
  }
}

/** Merges streams of records in time order. */
function mixed(...streams: readonly TrafficRecord[][]): TrafficRecord[] {
  const time = ({ seconds, nanoseconds }: TrafficRecord): number => (seconds - START) * 1e9 + nanoseconds
  return streams.flat().sort((a, b) => time(a) - time(b))
}

t.test('benign traffic raises no alert', async t => {
  const { pipeline, push, alerts, offences } = guard()
  push(benign(4_000, 2))
  pipeline.flush()
  t.same(alerts, [])
  t.same(offences, [])
  t.same(pipeline.counters, { scored: 4_000, unscored: 0, own: 0 })
  t.ok(pipeline.movingAverage > 0 && pipeline.movingAverage < 0.5)
})

t.test('a flood raises one alert, attributed to its sender alone', async t => {
  const { pipeline, push, alerts, offences } = guard()
  push(mixed(benign(2_000, 2), attack(600, 4)))
  pipeline.flush()
  const raised = alerts.filter(({ state }) => state === 'raised')
  const clients = raised.filter(({ subject }) => subject.scope === 'client')
  t.equal(clients.length, 1)
  t.match(clients[0], {
    subject: {
      clientId: 'attacker',
      address: '192.0.2.7',
      port: 50_066,
      broker: { address: '192.0.2.100', port: 1883 }
    },
    detector: 'iforest',
    model: model.digest,
    response: 'ban'
  })
  const { value, limit, score, average, movingAverage, previousMovingAverage, records, contributions, time } =
    clients[0]
  t.ok(value > limit && score <= 1 && average <= score && records >= 10)
  t.ok(Math.abs(movingAverage - (0.4 * previousMovingAverage + 0.6 * average)) < 1e-12, 'equation 1')
  t.ok(contributions.length > 0 && contributions.every(({ contribution }) => contribution > 0))
  t.ok(time >= START + 4 && time < START + 5, 'within a second of packet time')
  t.ok(offences.length > 1, 'reported for every batch')
  t.ok(
    offences.every(
      ({ address, clientId, connections }) =>
        address === '192.0.2.7' && clientId === 'attacker' && connections.join() === '66'
    )
  )
  const gateway = raised.filter(({ subject }) => subject.scope === 'gateway')
  t.ok(gateway.length <= 1)
  for (const alert of gateway) t.match(alert, { subject: { clientId: null, address: null }, response: 'observe' })
})

t.test('an alert is cleared when the attack is over, also without further traffic', async t => {
  for (const after of ['silence', 'benign traffic'] as const) {
    const { pipeline, push, alerts } = guard()
    push(attack(600, 0))
    t.ok(pipeline.alerts.openCount > 0)
    if (after === 'silence') for (let time = 3; time < 30; time += 0.1) pipeline.tick(START + time)
    else push(benign(6_000, 2, 3))
    const mine = alerts.filter(({ subject }) => subject.clientId === 'attacker')
    t.equal(mine.at(0)?.state, 'raised')
    t.equal(mine.at(-1)?.state, 'cleared')
    t.ok(mine.every(({ id }) => id === mine[0].id))
    t.equal(mine.filter(({ state }) => state === 'cleared').length, 1)
    t.equal(pipeline.alerts.openCount, 0)
  }
})

t.test("a connection of the attacker's neighbour is never reported as an offender", async t => {
  const { push, offences, pipeline } = guard()
  push(
    mixed(
      attack(300, 0),
      telemetry(300, 4).map((features, i) => record(i / 200, { features, peer: NEIGHBOUR, frame: i }))
    )
  )
  pipeline.flush()
  t.ok(offences.length > 0)
  t.notOk(offences.some(({ connections }) => connections.includes(NEIGHBOUR.connection ?? -1)))
})

t.test('packets from the broker to a client are not attributed to the client', async t => {
  const { push, offences, pipeline } = guard()
  push(attack(600, 0, NEIGHBOUR).map(each => ({ ...each, direction: 'out' as const })))
  pipeline.flush()
  t.same(offences, [])
})

t.test("the detection's own messages are counted and not scored", async t => {
  const { push, alerts, pipeline } = guard()
  push(attack(600, 0).map(each => ({ ...each, own: true })))
  pipeline.flush()
  t.same(pipeline.counters, { scored: 0, unscored: 0, own: 600 })
  t.same(alerts, [])
  t.equal(pipeline.movingAverage, model.baselines.gateway.mean)
})

t.test('a replay raises the same alerts at the same times', async t => {
  const records = mixed(benign(2_000, 2), attack(600, 4))
  const runs = [0, 1].map(() => {
    const { push, alerts, pipeline } = guard()
    push(records)
    pipeline.flush()
    return alerts
  })
  t.strictSame(runs[1], runs[0])
})
