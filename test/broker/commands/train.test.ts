// artemis train: inputs, options, progress, model file and errors.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { trainCommand } from '../../../broker/commands/train.js'
import { catalogEntry } from '../../../models/index.js'
import { planOf } from '../../../broker/training/detector-choice.js'
import { GuardModel } from '../../../src/scoring/guard-model.js'
import { ATTACKER, attackedCapture, benignCapture } from '../../support/labelled-traffic.js'
import { runArtemis, startArtemis } from '../../support/artemis.js'
import { findProgram, programMissing } from '../../support/programs.js'
import { tensorflowMissing } from '../../support/tensorflow.js'

const benign = benignCapture()
const attacked = attackedCapture()
const labels = `ip,label\n${ATTACKER},flood\n`

/** Runs the command in this process, for errors that come before any output. */
async function train(...args: string[]): Promise<void> {
  await trainCommand()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .parseAsync(args, { from: 'user' })
}

t.test('trains a model on a capture', async t => {
  const dir = t.testdir({ 'a.pcap': benign })
  const out = join(dir, 'm.json')
  const {
    code,
    out: stdout,
    err
  } = await runArtemis([
    'train',
    join(dir, 'a.pcap'),
    '--detector',
    'kmeans',
    '--seed',
    '7',
    '--contamination',
    '0.02',
    '--out',
    out
  ])
  t.equal(code, 0, err)
  t.equal(stdout, '')
  const model = await GuardModel.load(out)
  t.equal(model.detector, 'kmeans')
  t.ok(model.rows.wire > 600)
  t.equal(model.experts.wire?.detector.contamination, 0.02)
  t.ok(Math.abs(Date.now() - Date.parse(model.created)) < 120_000, 'has the current time')
  for (const figure of [
    model.digest,
    `${model.rows.wire} rows`,
    `${model.experts.wire?.columns.length} columns`,
    out,
    'ttl',
    'threshold'
  ]) {
    t.ok(err.includes(figure), `the summary contains ${figure}`)
  }
  t.notMatch(err, /\u001b/, 'no colour and no progress bar without a terminal')
  t.same(readdirSync(dir).sort(), ['a.pcap', 'm.json'])
})

t.test('trains on CSV, several files and standard input; only the seed changes the model', async t => {
  const dir = t.testdir({ 'a.pcap': benign, 'b.pcap': attacked, 'labels.csv': labels })
  const [a, b] = [join(dir, 'a.pcap'), join(dir, 'b.pcap')]
  const csv = await runArtemis(['extract', a, b])
  const flags = [
    '--detector',
    'iforest',
    '--param',
    'nEstimators=5',
    '--features',
    'tcp_len,mqtt_len,mqtt_msg',
    '--labels',
    join(dir, 'labels.csv'),
    '--out'
  ]
  const runs = await Promise.all([
    runArtemis(['train', a, b, ...flags, join(dir, '1.json')]),
    runArtemis(['train', '-', ...flags, join(dir, '2.json')], Buffer.from(csv.out)),
    runArtemis(['train', a, b, ...flags, join(dir, '3.json'), '--seed', '2'])
  ])
  t.same(
    runs.map(({ code }) => code),
    [0, 0, 0],
    runs.map(({ err }) => err).join()
  )
  t.match(runs[0].err, /benign rows; \d+ attack rows skipped/)
  const [first, second, third] = await Promise.all(
    ['1', '2', '3'].map(async name => (await GuardModel.load(join(dir, `${name}.json`))).experts.wire)
  )
  t.equal(first?.digest, second?.digest)
  t.same(first?.detector.toJSON(), second?.detector.toJSON())
  t.equal(first?.digest, third?.digest)
  t.notSame(first?.detector.toJSON().state.threshold, third?.detector.toJSON().state.threshold)
})

t.test('trains a network with the installed TensorFlow.js and names it, or fails without one', async t => {
  const dir = t.testdir({ 'a.pcap': benign })
  const out = join(dir, 'm.json')
  const tensorflow = await catalogEntry('autoencoder')
    .prepare?.()
    .catch(() => undefined)
  const { code, err } = await runArtemis([
    'train',
    join(dir, 'a.pcap'),
    '--detector',
    'autoencoder',
    '--param',
    'epochs=1',
    '--out',
    out
  ])
  if (tensorflow === undefined) {
    t.match({ code, err }, { code: 1, err: /npm install @tensorflow/ })
    t.same(readdirSync(dir), ['a.pcap'])
  } else {
    t.equal(code, 0, err)
    t.ok(err.startsWith(`${tensorflow}\n`), err)
    t.equal((await GuardModel.load(out)).detector, 'autoencoder')
  }
})

/** Trains on a terminal of its own; `typing` gets the output so far and returns the keys to type. */
async function trainOnTerminal(args: readonly string[], typing: (shown: string) => string): Promise<string> {
  const command = [
    process.execPath,
    fileURLToPath(new URL('../../../broker/main.js', import.meta.url)),
    'train',
    ...args
  ]
  // `exec` replaces the shell, because dash would exit with its own code on Ctrl-C.
  const line = `exec ${command.map(word => `'${word}'`).join(' ')}`
  const child = spawn(findProgram('script'), ['--quiet', '--return', '--flush', '--command', line, '/dev/null'])
  let shown = ''
  // The child may have exited when its last output is read.
  child.stdin.on('error', () => {})
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString()
    const typed = typing(shown)
    if (typed !== '') child.stdin.write(typed)
  })
  const [code] = (await once(child, 'close')) as [number]
  t.equal(code, 0, shown)
  return shown
}

t.test(
  'shows epoch, loss and time left on a terminal, and Ctrl-C leaves no file',
  { skip: programMissing('script') || tensorflowMissing() },
  async t => {
    const dir = t.testdir({ 'a.pcap': benign })
    const flags = [join(dir, 'a.pcap'), '--detector', 'autoencoder', '--out', join(dir, 'm.json')]
    const shown = await trainOnTerminal([...flags, '--param', 'epochs=3'], () => '')
    t.match(shown, /Training (frames|packets) .*\d+ % \| \S+ left \| epoch \d of 3, loss \d\.\d+/)
    t.same(readdirSync(dir), ['a.pcap', 'm.json'])

    rmSync(join(dir, 'm.json'))
    let isInterrupted = false
    const cut = await trainOnTerminal([...flags, '--param', 'epochs=10000'], shown => {
      if (isInterrupted || !/epoch \d+ of 10000/.test(shown)) return ''
      isInterrupted = true
      return '\u0003'
    })
    t.notMatch(cut, /digest/, 'no summary after an interrupt')
    t.same(readdirSync(dir), ['a.pcap'])
  }
)

t.test('options override named settings, which override the defaults', t => {
  t.match(planOf({ detector: 'ocsvm' }), {
    contaminated: false,
    detector: { features: 'table1-no-identity', contamination: 0.1, parameters: {} }
  })
  t.match(
    planOf({ detector: 'default' }),
    {
      detector: {
        kind: 'ocsvm',
        parameters: { nu: 0.1, gamma: 0.15 },
        features: 'behaviour',
        contamination: 0.01,
        seed: 1
      }
    },
    'the default detector of the broker'
  )
  t.match(planOf({ detector: 'ocsvm', preset: 'paper' }), { contaminated: false, detector: { features: 'best24' } })
  t.match(planOf({ detector: 'birch', preset: 'paper' }), {
    contaminated: true,
    detector: { features: 'table1', parameters: { threshold: 0.2, score: 'cluster' } }
  })
  t.match(
    planOf({
      detector: 'birch',
      preset: 'paper',
      features: 'table1-no-identity',
      param: ['threshold=0.5'],
      contamination: 0.2
    }),
    {
      detector: { features: 'table1-no-identity', contamination: 0.2, parameters: { threshold: 0.5, score: 'cluster' } }
    }
  )
  t.match(planOf({ detector: 'kmeans', contaminated: true }), { detector: { parameters: { score: 'cluster' } } })
  t.match(planOf({ detector: 'kmeans', contaminated: true, param: ['score=distance'] }), {
    detector: { parameters: { score: 'distance' } }
  })
  t.match(planOf({ detector: 'ocsvm', param: ['gamma=auto', 'gamma=0.5', 'nu=0.1'] }), {
    detector: { parameters: { gamma: 0.5, nu: 0.1 } }
  })
  t.end()
})

t.test('invalid options fail before any file is read', async t => {
  const dir = t.testdir({ 'a.pcap': benign, 'labels.csv': labels })
  const out = join(dir, 'm.json')
  const errors: [string[], { code: string; message?: RegExp; remedy?: RegExp }][] = [
    [['--detector', 'ifores'], { code: 'train-detector', remedy: /Did you mean iforest\? Choose one of .*ocsvm/ }],
    [['--detector', 'weather'], { code: 'train-detector', remedy: /^Choose one of/ }],
    [
      ['--detector', 'ocsvm', '--param', 'mu=1'],
      {
        code: 'train-param',
        message: /no parameter "mu"; did you mean nu/,
        remedy: /nu: .*0\.0001 to 1; default 0\.5.*gamma/s
      }
    ],
    [['--detector', 'ocsvm', '--param', 'nu=2'], { code: 'train-param', message: /nu must be .*, not 2/ }],
    [
      ['--detector', 'ocsvm', '--param', 'nu='],
      { code: 'train-param', message: /nu must be a number from 0.0001 to 1, not empty/ }
    ],
    [['--detector', 'ocsvm', '--param', 'nu'], { code: 'train-param', message: /name=value/ }],
    [['--detector', 'ocsvm', '--param', 'seed=3'], { code: 'train-param', message: /--seed/ }],
    [['--detector', 'ocsvm', '--param', '__proto__=3'], { code: 'train-param' }],
    [['--detector', 'iforest', '--features', 'weather'], { code: 'features-unknown' }],
    [['--detector', 'iforest', '--features', 'ttl'], { code: 'features-none' }],
    [['--detector', 'iforest', '--contamination', '0.6'], { code: 'commander.invalidArgument' }],
    [['--detector', 'iforest', '--seed', '-1'], { code: 'commander.invalidArgument' }],
    [['--detector', 'iforest', '--preset', 'papers'], { code: 'commander.invalidArgument' }],
    [['--detector', 'iforest', '--labels', 'x', '--label-all', 'y'], { code: 'commander.conflictingOption' }],
    [['--detector', 'random-forest'], { code: 'training-labels', remedy: /--labels/ }]
  ]
  for (const [flags, expected] of errors)
    await t.rejects(train(join(dir, 'none.pcap'), '--out', out, ...flags), expected, flags.join(' '))
  await t.rejects(train(join(dir, 'a.pcap'), '--detector', 'iforest', '--out', join(dir, 'no', 'm.json')), {
    code: 'model-not-writable'
  })
  await t.rejects(train(join(dir, 'a.pcap'), '--detector', 'iforest', '--out', dir), { code: 'model-not-writable' })
  await t.rejects(train(join(dir, 'a.pcap'), '--detector', 'iforest', '--out', join(dir, 'a.pcap')), {
    code: 'output-is-input'
  })
  await t.rejects(train(join(dir, 'none.pcap'), '--detector', 'iforest', '--out', out), { code: 'capture-unreadable' })
  await t.rejects(train(join(dir, 'a.pcap'), '--detector', 'random-forest', '--label-all', 'flood', '--out', out), {
    code: 'training-labels'
  })
  t.same(readdirSync(dir).sort(), ['a.pcap', 'labels.csv'])
})

t.test('an interrupt leaves no model and exits with 0', async t => {
  const many = benignCapture(20)
  for (const stage of ['reading', 'learning']) {
    const dir = t.testdir({ 'old.json': 'old' })
    const { child, ending } = startArtemis([
      'train',
      '-',
      '--detector',
      'iforest',
      '--param',
      'nEstimators=10000',
      '--out',
      join(dir, 'old.json')
    ])
    child.stdin?.write(many)
    // More than the pipe buffer was read, so the command handles signals.
    if (stage === 'reading') await once(child.stdin ?? child, 'drain')
    else {
      child.stdin?.end()
      await once(child.stdin ?? child, 'finish')
    }
    child.kill('SIGINT')
    t.match(await ending, { code: 0, out: '', err: '' }, stage)
    t.same(readdirSync(dir), ['old.json'], stage)
    t.equal(readFileSync(join(dir, 'old.json'), 'utf8'), 'old')
  }
})
