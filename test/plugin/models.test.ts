// All unsupervised detectors can be trained in place. Models can be switched at run time.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { catalogEntry, DETECTOR_KINDS, type DetectorKind } from '../../models/index.js'
import { connectClient, endClient } from '../support/clients.js'
import { waitUntil } from '../tap/traffic.js'
import { startWatchedBroker, type WatchedBroker } from '../support/watched-broker.js'

const RECORDS = 400

/** Starts a broker without a tap, trains a detector in place on normal traffic, and waits until its model is saved. */
async function trainedBroker(
  t: Test,
  kind: DetectorKind,
  model: string,
  onError: (message: string) => void = () => {}
): Promise<WatchedBroker> {
  const broker = await startWatchedBroker({
    tap: { target: 'none' },
    learn: { seconds: 0, minimumRecords: RECORDS },
    detector: { kind, model },
    logger: {
      info: () => {},
      warn: () => {},
      error: (_details, message) => {
        onError(message)
      }
    }
  })
  t.teardown(async () => {
    await broker.close()
  })
  const client = await connectClient({ port: broker.port }, { clientId: 'device' })
  // Enough records including acknowledgements. More would make fitting the networks slow.
  for (let sent = 0; sent < RECORDS; sent += 20) {
    await Promise.all(
      Array.from(
        { length: 20 },
        async () => await client.publishAsync('room/temperature', (20 + Math.random()).toFixed(2), { qos: 1 })
      )
    )
  }
  await broker.until(({ state }) => state === 'guarding', `a model of ${kind}`)
  await endClient(client)
  await waitUntil('the saved model', () => existsSync(model))
  const { digest } = JSON.parse(readFileSync(model, 'utf8')) as { digest: string }
  t.match(broker.ids.status(), { model: { digest } }, 'alerts name the model by the digest of its file')
  return broker
}

t.test('in-place training', async t => {
  for (const kind of DETECTOR_KINDS.filter(kind => !catalogEntry(kind).supervised)) {
    const broker = await trainedBroker(t, kind, join(t.testdir(), `${kind}.json`))
    t.match(broker.ids.status(), { state: 'guarding', model: { detector: kind, rows: { wire: 0 } } }, kind)
    await broker.close()
  }
})

t.test('switching models at run time', async t => {
  const folder = t.testdir({ 'broken.json': '{"format":"artemis-model"' })
  const [iforest, kmeans] = ['iforest', 'kmeans'].map(kind => join(folder, `${kind}.json`))
  await (await trainedBroker(t, 'kmeans', kmeans)).close()
  const errors: string[] = []
  const broker = await trainedBroker(t, 'iforest', iforest, message => {
    errors.push(message)
  })
  const before = await broker.until(({ model }) => model !== undefined, 'its own model')
  broker.ids.useModel(kmeans)
  const after = await broker.until(({ model }) => model?.detector === 'kmeans', 'the other model')
  t.not(after.model?.digest, before.model?.digest)
  for (const invalid of ['broken.json', 'missing.json']) {
    broker.ids.useModel(join(folder, invalid))
    await waitUntil('the error', () => errors.some(message => message.includes(invalid)))
    t.match(
      broker.ids.status(),
      { state: 'guarding', model: { detector: 'kmeans' } },
      `${invalid}: the current model is kept`
    )
  }
  await broker.ids.restartDetection()
  const again = await broker.until(
    ({ thread, state }) => thread.restarts === 1 && state === 'guarding',
    'the restarted thread'
  )
  t.equal(again.model?.detector, 'kmeans', 'a crash does not restore the old model')
})

t.test('a supervised detector is refused, and the broker runs', async t => {
  const broker = await startWatchedBroker({ tap: { target: 'none' }, detector: { kind: 'random-forest' } })
  t.teardown(async () => {
    await broker.close()
  })
  const status = await broker.until(({ state }) => state === 'refused', 'the refusal')
  t.match(status.failure, /random-forest needs labelled attacks/)
  await endClient(await connectClient({ port: broker.port }))
})

t.test('a model of another detector than the configured one is used', async t => {
  const model = join(t.testdir(), 'model.json')
  await (await trainedBroker(t, 'kmeans', model)).close()
  const lines: string[] = []
  const broker = await startWatchedBroker({
    tap: { target: 'none' },
    detector: { kind: 'iforest', model },
    logger: {
      info: () => {},
      warn: (_details, message) => {
        lines.push(message)
      },
      error: () => {}
    }
  })
  t.teardown(async () => {
    await broker.close()
  })
  await broker.until(({ model }) => model?.detector === 'kmeans', 'the model from the file')
  t.match(lines.join('\n'), /the model is for kmeans, but the settings ask for iforest/)
})

t.test('no message if no detector is configured', async t => {
  const model = join(t.testdir(), 'model.json')
  await (await trainedBroker(t, 'kmeans', model)).close()
  const lines: string[] = []
  const broker = await startWatchedBroker({
    tap: { target: 'none' },
    detector: { model },
    logger: {
      info: () => {},
      warn: (_details, message) => {
        lines.push(message)
      },
      error: () => {}
    }
  })
  t.teardown(async () => {
    await broker.close()
  })
  await broker.until(({ model }) => model?.detector === 'kmeans', 'the model from the file')
  t.same(
    lines.filter(line => line.includes('the settings ask for')),
    []
  )
})
