// artemis models: lists models, and errors of broken ones.

import { join } from 'node:path'
import { readFileSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { planOf } from '../../../broker/training/detector-choice.js'
import { CaptureRecords } from '../../../src/join/capture-records.js'
import { trainModel } from '../../../src/training/offline-training.js'
import type { TrafficRecord } from '../../../src/record.js'
import type { GuardModel } from '../../../src/scoring/guard-model.js'
import { runArtemis } from '../../support/artemis.js'
import { benignCapture } from '../../support/labelled-traffic.js'

async function withModel(t: Test, detector: string, features: string): Promise<{ dir: string; model: GuardModel }> {
  const records: TrafficRecord[] = []
  new CaptureRecords(
    record => {
      records.push(record)
    },
    { ports: [1883] }
  ).push(benignCapture())
  const dir = t.testdir({ 'package.json': '{"name":"other"}', 'notes.txt': 'text', sub: {} })
  const model = await trainModel(records, undefined, planOf({ detector, features }))
  return { dir, model: await model.save(join(dir, 'good.json')) }
}

t.test('lists models with their training data, and broken ones with their error', async t => {
  const { dir, model } = await withModel(t, 'kmeans', 'table1')
  const text = readFileSync(join(dir, 'good.json'), 'utf8')
  writeFileSync(join(dir, 'cut.json'), text.slice(0, -100))
  writeFileSync(join(dir, 'edited.json'), text.replace('"seed":1', '"seed":2'))
  writeFileSync(join(dir, 'newer.json'), text.replace('"schema":2', '"schema":99'))
  const { code, out, err } = await runArtemis(['models', dir])
  t.equal(code, 0)
  t.equal(err, '')
  const [head, row, ...errors] = out.trimEnd().split('\n')
  t.match(head, /^file +detector +features +frames +packets .*trained +digest +bytes$/)
  t.same(row.split(/ +/), [
    join(dir, 'good.json'),
    'kmeans',
    'table1',
    String(model.rows.wire),
    String(model.rows.broker),
    '-',
    model.created,
    model.digest.slice(0, 12),
    String(text.length)
  ])
  t.equal(errors.length, 3, 'other JSON files are ignored')
  t.match(errors.join('\n'), /cut\.json.*cut off[^]*edited\.json.*changed[^]*newer\.json has schema 99/)
})

t.test('lists a single file with custom columns, and fails on a file that is no model', async t => {
  const { dir } = await withModel(t, 'iforest', 'tcp_len,mqtt_len')
  const [named, none] = await Promise.all([
    runArtemis(['models', join(dir, 'good.json'), join(dir, 'package.json')]),
    runArtemis(['models', join(dir, 'missing')])
  ])
  t.match(named.out, /good\.json +iforest +2 columns/)
  t.match(named, { code: 1, err: /^artemis: .*package\.json is not a model/ })
  t.match(none, { code: 1, out: '', err: /Cannot read .*missing/ })
})

t.test('lists the data folder, with and without a model', async t => {
  const { dir } = await withModel(t, 'birch', 'table1-no-identity')
  const [before, after, configured] = await Promise.all([
    runArtemis(['models', '--data', join(dir, 'later')]),
    runArtemis(['models', '--data', dir]),
    (async () => {
      writeFileSync(join(dir, 'artemis.yaml'), `data: ${dir}\n`)
      return await runArtemis(['models', '--config', join(dir, 'artemis.yaml')])
    })()
  ])
  t.match(before, { code: 0, out: '', err: /No models found/ })
  t.match(after.out, /good\.json +birch +table1-no-identity/)
  t.equal(configured.out, after.out)
})
