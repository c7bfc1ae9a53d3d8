// Every detector as part of a model: its file is restored or rejected, and constant training columns have no effect.

import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { catalogEntry, DETECTOR_KINDS } from '../../models/index.js'
import { columnsOf } from '../../src/features/columns.js'
import { Panel } from '../../src/scoring/panel.js'
import { loadModel, saveModel } from '../../src/scoring/model-file.js'
import { flood, telemetry } from '../features/feature-values.js'
import { tensorflowMissing } from '../support/tensorflow.js'

const SHORT: Readonly<Record<string, Record<string, number>>> = {
  autoencoder: { epochs: 2 },
  'so-gaal': { stopEpochs: 1 },
  'random-forest': { nEstimators: 5 }
}

const records = [...telemetry(120, 1), ...flood(40, 2)]
const labels = Uint8Array.from(records, (_, i) => Number(i >= 120))

/** Changes the text of a model file and updates its digest. */
function forge(text: string, from: string, to: string): string {
  const content = JSON.parse(text.replace(from, to)) as Record<string, unknown>
  Reflect.deleteProperty(content, 'digest')
  return JSON.stringify({ ...content, digest: createHash('sha256').update(JSON.stringify(content)).digest('hex') })
}

for (const kind of DETECTOR_KINDS) {
  const { supervised, prepare } = catalogEntry(kind)
  t.test(kind, { skip: prepare !== undefined && tensorflowMissing() }, async t => {
    const fit = (variant: 'wire' | 'broker') =>
      Panel.fit(records, {
        variant,
        columns: columnsOf('table1-no-identity', variant),
        detector: kind,
        seed: 3,
        parameters: SHORT[kind] ?? {},
        ...(supervised && { labels })
      })
    const [wire, broker] = [await fit('wire'), await fit('broker')]
    const path = join(t.testdir(), 'model.json')
    await saveModel(path, { created: '2024-05-01T12:00:00.000Z', seed: 3, detector: kind, experts: { wire, broker } })
    const loaded = await loadModel(path)
    t.equal(loaded.detector, kind)
    t.same(loaded.experts.wire?.score(records), wire.score(records), 'the restored model gives the same scores')
    t.match(loaded.experts.wire, { rows: records.length, digest: wire.digest })

    const still = records.find(({ ttl }) => ttl === 64)
    if (still === undefined) throw new Error('no record')
    t.ok(wire.dropped.includes('ttl'))
    t.same(
      wire.score([{ ...still, ttl: 255 }]),
      wire.score([still]),
      'a column that was constant in training has no effect'
    )

    const text = readFileSync(path, 'utf8')
    const refusals: [string, string][] = [
      [forge(text, '"mqtt_qos_lvl"', '"mqtt_colour"'), 'model-features'],
      [forge(text, '"schema":2', '"schema":9'), 'model-schema'],
      [text.slice(0, -100), 'model-damaged'],
      [text.replace('"seed":3', '"seed":4'), 'model-edited']
    ]
    for (const [content, code] of refusals) {
      writeFileSync(path, content)
      await t.rejects(loadModel(path), { name: 'OperatorError', code, remedy: /\w/ })
    }
  })
}
