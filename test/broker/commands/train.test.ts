// artemis train: files and flags in, a model that guards out, and what it says when something is wrong.

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

/** Parses flags and trains in this process: for mistakes, which come before anything is said. */
async function train(...args: string[]): Promise<void> {
  await trainCommand()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .parseAsync(args, { from: 'user' })
}

t.test('a capture becomes a model that guards', async t => {
  const dir = t.testdir({ 'a.pcap': benign })
  const out = join(dir, 'm.json')
  const {
    code,
    out: said,
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
  t.equal(said, '')
  const model = await GuardModel.load(out)
  t.equal(model.detector, 'kmeans')
  t.ok(model.rows.wire > 600)
  t.equal(model.experts.wire?.detector.contamination, 0.02)
  t.ok(Math.abs(Date.now() - Date.parse(model.created)) < 120_000, 'dated by the clock')
  for (const figure of [
    model.digest,
    `${model.rows.wire} rows`,
    `${model.experts.wire?.columns.length} columns`,
    out,
    'ttl',
    'threshold'
  ]) {
    t.ok(err.includes(figure), `the summary says ${figure}`)
  }
  t.notMatch(err, /\u001b/, 'no colour and no bar where there is no terminal')
  t.same(readdirSync(dir).sort(), ['a.pcap', 'm.json'])
})

t.test('CSV, several files and standard input serve as well, and the seed alone decides', async t => {
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
  t.match(runs[0].err, /benign rows; \d+ attack rows left out/)
  const [first, second, third] = await Promise.all(
    ['1', '2', '3'].map(async name => (await GuardModel.load(join(dir, `${name}.json`))).experts.wire)
  )
  t.equal(first?.digest, second?.digest)
  t.same(first?.detector.toJSON(), second?.detector.toJSON())
  t.equal(first?.digest, third?.digest)
  t.notSame(first?.detector.toJSON().state.threshold, third?.detector.toJSON().state.threshold)
})

t.test('a network is trained with the TensorFlow that is there, which is said, or not without one', async t => {
  const dir = t.testdir({ 'a.pcap': benign })
  const out = join(dir, 'm.json')
  const there = await catalogEntry('autoencoder')
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
  if (there === undefined) {
    t.match({ code, err }, { code: 1, err: /npm install @tensorflow/ })
    t.same(readdirSync(dir), ['a.pcap'])
  } else {
    t.equal(code, 0, err)
    t.ok(err.startsWith(`${there}\n`), err)
    t.equal((await GuardModel.load(out)).detector, 'autoencoder')
  }
})

/** Trains on a terminal of its own; `typing` is given what was shown so far, and says what to type. */
async function trainOnTerminal(args: readonly string[], typing: (shown: string) => string): Promise<string> {
  const command = [
    process.execPath,
    fileURLToPath(new URL('../../../broker/main.js', import.meta.url)),
    'train',
    ...args
  ]
  // The shell gives way to the program: one that stayed would end by Ctrl-C with a code of its own, as dash does.
  const line = `exec ${command.map(word => `'${word}'`).join(' ')}`
  const child = spawn(findProgram('script'), ['--quiet', '--return', '--flush', '--command', line, '/dev/null'])
  let shown = ''
  // What was shown last may be read when nobody takes what is typed any more.
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
  'on a terminal it shows epoch, loss and time left, and Ctrl-C leaves no file',
  { skip: programMissing('script') || tensorflowMissing() },
  async t => {
    const dir = t.testdir({ 'a.pcap': benign })
    const flags = [join(dir, 'a.pcap'), '--detector', 'autoencoder', '--out', join(dir, 'm.json')]
    const shown = await trainOnTerminal([...flags, '--param', 'epochs=3'], () => '')
    t.match(shown, /Learning (frames|packets) .*\d+ % \| \S+ left \| epoch \d of 3, loss \d\.\d+/)
    t.same(readdirSync(dir), ['a.pcap', 'm.json'])

    rmSync(join(dir, 'm.json'))
    let asked = false
    const cut = await trainOnTerminal([...flags, '--param', 'epochs=10000'], shown => {
      if (asked || !/epoch \d+ of 10000/.test(shown)) return ''
      asked = true
      return '\u0003'
    })
    t.notMatch(cut, /digest/, 'no summary of what was not finished')
    t.same(readdirSync(dir), ['a.pcap'])
  }
)

t.test('flags win over named settings, and those over the defaults', t => {
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
    'what the broker ships'
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

t.test('mistakes in the flags come before any file is read', async t => {
  const dir = t.testdir({ 'a.pcap': benign, 'labels.csv': labels })
  const out = join(dir, 'm.json')
  const mistakes: [string[], { code: string; message?: RegExp; remedy?: RegExp }][] = [
    [['--detector', 'ifores'], { code: 'train-detector', remedy: /Did you mean iforest\? There are .*ocsvm/ }],
    [['--detector', 'weather'], { code: 'train-detector', remedy: /^There are/ }],
    [
      ['--detector', 'ocsvm', '--param', 'mu=1'],
      {
        code: 'train-param',
        message: /no parameter "mu"; did you mean nu/,
        remedy: /nu: .*0\.0001 to 1; default 0\.5.*gamma/s
      }
    ],
    [['--detector', 'ocsvm', '--param', 'nu=2'], { code: 'train-param', message: /nu is 2 where it must be/ }],
    [['--detector', 'ocsvm', '--param', 'nu='], { code: 'train-param', message: /nu is/ }],
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
  for (const [flags, expected] of mistakes)
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

t.test('an interrupt leaves no model and is no fault', async t => {
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
    // More than a pipe holds was taken: the command reads, and listens for signals.
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
