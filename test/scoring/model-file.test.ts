// The model file: it is restored unchanged, and invalid files are rejected with the reason.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { columnsOf } from '../../src/features/columns.js'
import { loadModel, saveModel, type Model } from '../../src/scoring/model-file.js'
import { Panel } from '../../src/scoring/panel.js'
import { telemetry } from '../features/feature-values.js'

const records = telemetry(60, 1)
const small = { detector: 'iforest', parameters: { nEstimators: 3 } } as const

async function trained(): Promise<Model> {
  return {
    created: '2024-05-01T12:00:00.000Z',
    seed: 0,
    detector: 'iforest',
    experts: {
      wire: await Panel.fit(records, { variant: 'wire', columns: columnsOf('table1-no-identity', 'wire'), ...small }),
      broker: await Panel.fit(records, {
        variant: 'broker',
        columns: columnsOf('table1-no-identity', 'broker'),
        ...small
      })
    },
    alert: { threshold: 0.25 },
    metrics: { rocAuc: null }
  }
}

interface Content {
  [key: string]: unknown
  experts: { broker: { encoding: { features: string[] } }[] }
}

/** Rewrites the file with changes and an updated digest. */
function forge(path: string, change: (content: Content) => void): void {
  const content = JSON.parse(readFileSync(path, 'utf8')) as Content
  change(content)
  Reflect.deleteProperty(content, 'digest')
  const digest = createHash('sha256').update(JSON.stringify(content)).digest('hex')
  writeFileSync(path, JSON.stringify({ ...content, digest }))
}

t.test('a model is restored unchanged', async t => {
  const path = join(t.testdir(), 'model.json')
  const model = await trained()
  const digest = await saveModel(path, model)
  const loaded = await loadModel(path)
  t.equal(loaded.digest, digest)
  t.match(loaded, { created: model.created, seed: 0, detector: 'iforest', alert: model.alert, metrics: model.metrics })
  for (const variant of ['wire', 'broker'] as const) {
    t.same(loaded.experts[variant]?.score(records), model.experts[variant]?.score(records))
  }
  t.same(readdirSync(join(path, '..')), ['model.json'], 'no temporary file is left')
})

t.test('a model without wire experts', async t => {
  const path = join(t.testdir(), 'model.json')
  const {
    experts: { broker },
    ...rest
  } = await trained()
  await saveModel(path, { ...rest, experts: { broker } })
  t.equal((await loadModel(path)).experts.wire, undefined)
})

t.test('saving replaces the old file atomically', async t => {
  const path = join(t.testdir({ 'model.json': 'old' }), 'model.json')
  const model = await trained()
  await saveModel(path, model)
  t.equal((await loadModel(path)).created, model.created)
  await t.rejects(saveModel(join(path, 'below', 'model.json'), model), {
    name: 'OperatorError',
    code: 'model-not-writable'
  })
  const folder = t.testdir({ 'model.json': { 'a folder': '' } })
  await t.rejects(saveModel(join(folder, 'model.json'), model), { code: 'model-not-writable' })
  t.same(readdirSync(folder), ['model.json'], 'no temporary file is left')
})

t.test('invalid files are rejected with the reason', async t => {
  const folder = t.testdir()
  const good = join(folder, 'good.json')
  await saveModel(good, await trained())
  const text = readFileSync(good, 'utf8')
  const cases: [string, string][] = [
    ['', 'model-damaged'],
    ['hello', 'model-damaged'],
    ['null', 'model-damaged'],
    ['[]', 'model-damaged'],
    ['{}', 'model-format'],
    ['{"__proto__":{"format":"artemis-model"}}', 'model-format'],
    ['{"format":"artemis-model"}', 'model-damaged'],
    [text.slice(0, text.length / 2), 'model-damaged'],
    [text.replace('artemis-model', 'artemis-muddle'), 'model-format'],
    [text.replace('"schema":2', '"schema":3'), 'model-schema'],
    [text.replace('"schema":2', '"schema":1'), 'model-schema'],
    [text.replace('"threshold":0.25', '"threshold":0.99'), 'model-edited'],
    [text.replace('"alert":', '"extra":1,"alert":'), 'model-edited'],
    [text.replace('"digest"', '"__proto__":{"polluted":1},"digest"'), 'model-edited'],
    [`{"format":"artemis-model","schema":2,"digest":"","x":${'['.repeat(1e5)}${']'.repeat(1e5)}}`, 'model-damaged']
  ]
  for (const [content, code] of cases) {
    const path = join(folder, 'bad.json')
    writeFileSync(path, content)
    await t.rejects(loadModel(path), { name: 'OperatorError', code, remedy: /\w/ }, `${content.slice(0, 40)}: ${code}`)
  }
  await t.rejects(loadModel(join(folder, 'none.json')), { code: 'model-not-readable' })
  await t.rejects(loadModel(folder), { code: 'model-not-readable' })
  t.notOk('polluted' in {})
})

t.test('invalid content is rejected despite a valid digest', async t => {
  const folder = t.testdir()
  const forgeries: [string, (content: Content) => void][] = [
    [
      'model-features',
      content => {
        content.experts.broker[0].encoding.features.pop()
      }
    ],
    [
      'model-damaged',
      content => {
        content.detector = 'horoscope'
      }
    ],
    [
      'model-damaged',
      content => {
        content.seed = -1
      }
    ],
    [
      'model-damaged',
      content => {
        content.experts = { broker: (content.experts as unknown as { wire: Content['experts']['broker'] }).wire }
      }
    ],
    [
      'model-damaged',
      content => {
        Reflect.deleteProperty(content.experts, 'broker')
      }
    ]
  ]
  for (const [i, [code, change]] of forgeries.entries()) {
    const path = join(folder, `${i}.json`)
    await saveModel(path, await trained())
    forge(path, change)
    await t.rejects(loadModel(path), { name: 'OperatorError', code }, `forgery ${i}`)
  }
})
