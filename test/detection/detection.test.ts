// The detection without its thread: from the ring to alerts, with a test clock.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Alert } from '../../src/alert/alert.js'
import { Detection } from '../../src/detection/detection.js'
import { EntryWriter } from '../../src/observe/entry-ring.js'
import { allocateRing, RingReader, RingWriter } from '../../src/observe/ring.js'
import type { Offender } from '../../src/respond/response.js'
import { detectionSettings, type ArtemisOptions } from '../../src/settings.js'
import { TestConnection } from '../join/wire.js'
import { garbage, reading } from '../plugin/watching-itself.js'
import { TestClock } from '../support/test-clock.js'
import { waitUntil } from '../support/wait-until.js'

interface Status {
  state: string
  failure?: string
  learning?: { phase: string; progress: number }
  model?: { digest: string }
  records: { seen: number; scored?: number }
  alerts: { raised: number; open: number }
  ring: { dropped: number }
}

function detectionOf(options: ArtemisOptions = {}) {
  const memory = allocateRing(1 << 20)
  const entries = new EntryWriter(new RingWriter(memory, () => {}))
  const clock = new TestClock()
  const alerts: Alert[] = []
  const offences: Offender[] = []
  const lines: string[] = []
  const detection = new Detection(
    detectionSettings({
      tap: { target: 'none' },
      learn: { seconds: 60, minimumRecords: 500 },
      ...options,
      // This tests the control flow, so use a detector that learns fast.
      detector: { kind: 'iforest', features: 'table1-no-identity', ...options.detector }
    }),
    new RingReader(memory),
    {
      onAlert: alert => {
        alerts.push(alert)
      },
      onOffence: offender => {
        offences.push(offender)
      },
      onLog: (level, message) => {
        lines.push(`${level} ${message}`)
      },
      onModel: path => {
        lines.push(`model ${path}`)
      },
      onChange: () => {}
    },
    clock,
    clock
  )
  let connections = 0
  /** A connected client with an identity. */
  const client = (clientId: string) => {
    const connection = new TestConnection(++connections, 40_000 + connections, clock)
    entries.open(
      connection.id,
      clock.now(),
      'tcp',
      { address: '192.0.2.7', port: connection.port },
      { address: '192.0.2.100', port: 1883 }
    )
    entries.identity(connection.id, clientId, '')
    return {
      id: connection.id,
      send: (bytes: Uint8Array) => {
        for (const entry of connection.pass('in', bytes))
          if (entry.kind === 'packet')
            entries.packet(entry.connection, entry.direction, entry.time, entry.packet, entry.ordinal, entry.last)
      }
    }
  }
  /** Sends a message every 100 ms. */
  const send = (from: ReturnType<typeof client>, make: (i: number) => Uint8Array, count: number) => {
    for (let i = 0; i < count; i++) {
      from.send(make(i))
      clock.advance(100)
      detection.tick()
    }
  }
  const status = () => detection.status() as Status
  return { detection, clock, alerts, offences, lines, client, send, status }
}

t.test('learns for the configured time, guards, raises and clears an alert', async t => {
  const { detection, client, send, status, alerts, offences, lines, clock } = detectionOf()
  await detection.start()
  t.match(status(), { state: 'learning', learning: { phase: 'collecting', progress: 0 } })
  const sensor = client('sensor')
  send(sensor, reading, 450)
  await waitUntil('the model to be fitted', () => status().learning?.phase === 'calibrating')
  send(sensor, reading, 350)
  t.match(status(), { state: 'guarding', records: { seen: 800 } })
  t.ok(lines.some(line => line.startsWith('info guarding with iforest')))
  send(sensor, reading, 200)
  t.same(alerts, [])
  const attacker = client('drill')
  send(attacker, garbage, 60)
  t.match(
    alerts.find(({ subject }) => subject.scope === 'client'),
    { state: 'raised', subject: { clientId: 'drill', address: '192.0.2.7' }, response: 'observe' }
  )
  t.ok(offences.every(({ connections }) => connections.join() === String(attacker.id)))
  for (let i = 0; i < 300; i++) {
    clock.advance(100)
    detection.tick()
  }
  t.equal(status().alerts.open, 0)
  t.equal(alerts.at(-1)?.state, 'cleared')
  t.match(detection.scores(), { records: 1_060, alerts: 0 })
  await detection.stop()
})

t.test('a saved model is used after a restart, and an edited model file is refused', async t => {
  const model = join(t.testdir(), 'model.json')
  const options: ArtemisOptions = { detector: { model }, learn: { seconds: 0, minimumRecords: 400 } }
  const first = detectionOf(options)
  await first.detection.start()
  const sensor = first.client('sensor')
  first.send(sensor, reading, 280)
  await waitUntil('the model to be fitted', () => first.status().learning?.phase === 'calibrating')
  first.send(sensor, reading, 120)
  await waitUntil('the model to be saved', () => first.lines.some(line => line.includes('saved the model')))
  await first.detection.stop()

  const second = detectionOf(options)
  await second.detection.start()
  t.equal(second.status().state, 'guarding', 'immediately')
  const attacker = second.client('drill')
  second.send(attacker, garbage, 60)
  t.ok(second.alerts.some(({ subject }) => subject.clientId === 'drill'))
  await second.detection.stop()

  writeFileSync(model, readFileSync(model, 'utf8').replace('"seed":1', '"seed":2'))
  const third = detectionOf(options)
  await t.rejects(third.detection.start(), { name: 'OperatorError', code: 'model-edited' })
})

t.test('a requested model replaces the training in progress', async t => {
  const folder = t.testdir()
  const model = join(folder, 'model.json')
  const teacher = detectionOf({ detector: { model }, learn: { seconds: 0, minimumRecords: 400 } })
  await teacher.detection.start()
  const sensor = teacher.client('sensor')
  teacher.send(sensor, reading, 280)
  await waitUntil('the model to be fitted', () => teacher.status().learning?.phase === 'calibrating')
  teacher.send(sensor, reading, 120)
  await waitUntil('the model to be saved', () => teacher.lines.some(line => line.includes('saved the model')))

  const pupil = detectionOf({ learn: { seconds: 0, minimumRecords: 400 } })
  await pupil.detection.start()
  await pupil.detection.useModel(join(folder, 'no-such-file.json'))
  t.equal(pupil.status().state, 'learning')
  t.ok(pupil.lines.some(line => line.startsWith('error model unchanged')))
  pupil.send(pupil.client('sensor'), reading, 500)
  t.equal(pupil.status().learning?.phase, 'fitting')
  await pupil.detection.useModel(model)
  t.ok(pupil.lines.includes(`model ${model}`))
  const { digest } = JSON.parse(readFileSync(model, 'utf8')) as { digest: string }
  t.match(pupil.status(), { state: 'guarding', model: { digest } })
  const fitted = detectionOf({ learn: { seconds: 0, minimumRecords: 400 } })
  await fitted.detection.start()
  fitted.send(fitted.client('sensor'), reading, 500)
  await waitUntil('a later fit to finish', () => fitted.status().state === 'guarding')
  t.match(pupil.status(), { state: 'guarding', model: { digest } })
  for (const { detection } of [teacher, pupil, fitted]) await detection.stop()
})

t.test('with a record log, every record is written, including the last before the stop', async t => {
  const records = join(t.testdir(), 'records.ndjson')
  const { detection, client, send } = detectionOf({ report: { records } })
  await detection.start()
  const sensor = client('sensor')
  send(sensor, reading, 10)
  sensor.send(reading(10))
  await detection.stop()
  const lines = readFileSync(records, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as { mqtt_msg: string })
  t.equal(lines.length, 11)
  t.equal(Buffer.from(lines[10].mqtt_msg, 'hex').toString(), '{"temperature":21,"humidity":50}')
})
