// How training finds TensorFlow.js, and its behaviour without it; each case in its own process.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import path from 'node:path'
import t, { type Test } from 'tap'
import { Autoencoder, SoGaal } from '../../models/index.js'
import { tensorflow, tensorflowMissing } from '../support/tensorflow.js'
import type { RouteReport } from './training-route.js'

const ROUTE = new URL('training-route.js', import.meta.url)
const NATIVE = '@tensorflow/tfjs-node'

/** As after `npm install --omit=optional`: all TensorFlow.js packages are missing. */
const NOTHING = 'if (name.startsWith("@tensorflow/")) missing(name)'

/** No tfjs-node. */
const NO_NATIVE = `if (name === '${NATIVE}') missing(name)`

/** tfjs-node is installed, but its installer could not download the binary. */
const BROKEN_NATIVE = `if (name === '${NATIVE}') return source('throw new Error("no binary\\\\nfor this platform")')`

/**
 * A stand-in for tfjs-node: the same core, a backend named as that of tfjs-node, and the functions of
 * util that tfjs-node 4.22 calls.
 */
const standIn = () => `if (name === '${NATIVE}') return source(\`
  import util from 'node:util'
  import tf from '${import.meta.resolve('@tensorflow/tfjs-core')}'
  import '${import.meta.resolve('@tensorflow/tfjs-layers')}'
  import '${import.meta.resolve('@tensorflow/tfjs-backend-wasm')}'
  if (!util.isNullOrUndefined(null) || util.isNullOrUndefined(0) || !util.isArray([])) throw new Error('util')
  tf.registerBackend('tensorflow', tf.findBackendFactory('wasm'))
  tf.copyRegisteredKernels('wasm', 'tensorflow')
  export default tf
\`)`

/** Runs training-route.js with `rule` in the module resolution. */
async function run(t: Test, rule: string, saved: unknown[] = []): Promise<RouteReport> {
  const folder = t.testdir({
    'register.mjs': `
      import { register } from 'node:module'
      register('./hooks.mjs', import.meta.url)`,
    'hooks.mjs': `
      function missing (name) {
        throw Object.assign(new Error('Cannot find package ' + name), { code: 'ERR_MODULE_NOT_FOUND' })
      }
      function source (text) {
        return { url: 'data:text/javascript,' + encodeURIComponent(text), format: 'module', shortCircuit: true }
      }
      export async function resolve (name, context, next) {
        ${rule}
        return next(name, context)
      }`,
    'saved.json': JSON.stringify(saved)
  })
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--import',
    path.join(folder, 'register.mjs'),
    ROUTE.pathname,
    path.join(folder, 'saved.json')
  ])
  return JSON.parse(stdout) as RouteReport
}

function trains(t: Test, { trained }: RouteReport): void {
  for (const kind of ['autoencoder', 'so-gaal'] as const) {
    const outcome = trained[kind]
    t.ok('auc' in outcome && outcome.auc > 0.7, `${kind}: ${JSON.stringify(outcome)}`)
  }
}

t.test(
  'without TensorFlow.js a saved model can score, and training reports what to install',
  { skip: tensorflowMissing() },
  async t => {
    const rows = Array.from({ length: 60 }, (_, i) => [Math.sin(i), Math.cos(i), i % 7])
    const saved = [new Autoencoder({ epochs: 1 }), new SoGaal({ stopEpochs: 1 })]
    for (const detector of saved) await detector.fit(rows)
    const report = await run(
      t,
      NOTHING,
      saved.map(detector => ({ detector, rows }))
    )
    t.same(
      report.scores,
      saved.map(detector => [...detector.decisionFunction(rows)])
    )
    for (const outcome of [report.trained.autoencoder, report.trained['so-gaal']]) {
      t.match(outcome, {
        code: 'tensorflow',
        message: /npm install @tensorflow\/tfjs-core .*@tensorflow\/tfjs-backend-wasm/
      })
    }
    t.equal(report.trained.iforest.auc > 0.9, true, 'other detectors do not need it')
    t.match(report.prepared, /is not installed/)
  }
)

t.test('scoring does not load TensorFlow.js', { skip: tensorflowMissing() }, async t => {
  const report = await run(t, '')
  t.same(report.loadedBeforeTraining, [])
  t.not(report.loadedAfterTraining.length, 0, 'training loads it')
})

t.test('without tfjs-node, training uses WebAssembly', { skip: tensorflowMissing() }, async t => {
  const report = await run(t, NO_NATIVE)
  t.match(report.prepared, /^TensorFlow\.js \d+\.\d+\.\d+ on wasm$/)
  trains(t, report)
})

t.test(
  'if tfjs-node fails to load, training uses WebAssembly and reports why',
  { skip: tensorflowMissing() },
  async t => {
    const report = await run(t, BROKEN_NATIVE)
    t.match(report.prepared, /on wasm; @tensorflow\/tfjs-node is installed but does not load: no binary$/)
    trains(t, report)
  }
)

t.test('tfjs-node is preferred, with the functions that Node.js 23 removed', { skip: tensorflowMissing() }, async t => {
  const report = await run(t, standIn())
  t.match(report.prepared, /on tfjs-node$/)
  trains(t, report)
})

const nativeSkip = tensorflow?.backend !== 'tfjs-node' && `${NATIVE} is not installed, or its binary is missing`
t.test('the real tfjs-node trains', { skip: nativeSkip }, async t => {
  const report = await run(t, '')
  t.match(report.prepared, /on tfjs-node$/)
  trains(t, report)
})
