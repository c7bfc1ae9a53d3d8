// artemis evaluate: the figures in their fixed form, the labels in all their forms, and the drawing.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Evaluation } from '../../../models/index.js'
import { evaluateCommand } from '../../../broker/commands/evaluate.js'
import type { GuardModel } from '../../../src/scoring/guard-model.js'
import { CaptureRecords } from '../../../src/join/capture-records.js'
import type { TrafficRecord } from '../../../src/record.js'
import { trainModel } from '../../../src/training/offline-training.js'
import { planOf } from '../../../broker/training/detector-choice.js'
import { runArtemis } from '../../support/artemis.js'
import { ATTACKER, attackedCapture, benignCapture, FLOOD_BEGIN } from '../../support/labelled-traffic.js'

const attacked = attackedCapture()

function recordsOf(capture: Buffer): TrafficRecord[] {
  const records: TrafficRecord[] = []
  new CaptureRecords(
    record => {
      records.push(record)
    },
    { ports: [1883] }
  ).push(capture)
  return records
}

const records = recordsOf(attacked)
const isAttack = records.map(({ features: { src_ip: from, dst_ip: to } }) => from === ATTACKER || to === ATTACKER)
const attackRows = isAttack.filter(Boolean).length

/** A folder with a model that learnt from benign traffic, an attacked capture and labels. */
async function folder(
  t: Test,
  more: Record<string, string | Buffer> = {}
): Promise<{ dir: string; model: GuardModel; run: (...args: string[]) => ReturnType<typeof runArtemis> }> {
  const dir = t.testdir({ 'a.pcap': attacked, 'labels.csv': `ip,label\n${ATTACKER},flood\n`, ...more })
  const fitted = await trainModel(recordsOf(benignCapture()), undefined, planOf({ detector: 'ocsvm' }))
  const model = await fitted.save(join(dir, 'm.json'))
  return { dir, model, run: (...args) => runArtemis(['evaluate', ...args, '--model', join(dir, 'm.json')]) }
}

t.test('figures as JSON, in the form that stays', async t => {
  const { dir, model, run } = await folder(t)
  const { code, out, err } = await run(join(dir, 'a.pcap'), '--labels', join(dir, 'labels.csv'), '--format', 'json')
  t.equal(code, 0, err)
  t.equal(err, '')
  const figures = JSON.parse(out) as Evaluation
  t.same(Object.keys(figures), [
    'rows',
    'attackRows',
    'rocAuc',
    'averagePrecision',
    'accuracy',
    'threshold',
    'recallAtFpr1',
    'confusion',
    'perLabel'
  ])
  t.same(Object.keys(figures.confusion), ['tp', 'fp', 'tn', 'fn'])
  t.same(Object.keys(figures.perLabel), ['flood'])
  t.same(Object.keys(figures.perLabel.flood), ['rows', 'rocAuc', 'recall', 'recallAtFpr1'])
  const { scores } = model.judge(records)
  const found = isAttack.filter((attack, i) => attack && scores[i] > model.threshold).length
  const accused = isAttack.filter((attack, i) => !attack && scores[i] > model.threshold).length
  t.match(figures, {
    rows: records.length,
    attackRows,
    threshold: model.threshold,
    confusion: { tp: found, fn: attackRows - found, fp: accused, tn: records.length - attackRows - accused },
    perLabel: { flood: { rows: attackRows, recall: found / attackRows, rocAuc: figures.rocAuc } }
  })
  t.ok(figures.rocAuc > 0.9)
})

t.test('every form of labels and of input gives the same figures', async t => {
  const { dir, run } = await folder(t, {
    'frames.csv': `frame,label\n${records.map(({ frame }, i) => `${frame},${isAttack[i] ? 'flood' : 0}`).join('\n')}\n`,
    'time.csv': `10.0.0.1,flood,${FLOOD_BEGIN},${FLOOD_BEGIN + 100}\n`
  })
  const { out: csv } = await runArtemis(['extract', join(dir, 'a.pcap')])
  writeFileSync(join(dir, 'a.csv'), csv)
  const runs = await Promise.all(
    [
      ['a.pcap', 'frames.csv'],
      ['a.pcap', 'time.csv'],
      ['a.csv', 'frames.csv']
    ].map(([input, labels]) => run(join(dir, input), '--labels', join(dir, labels), '--format', 'json'))
  )
  t.same(
    runs.map(({ err, code }) => [code, err]),
    [
      [0, ''],
      [0, ''],
      [0, '']
    ]
  )
  for (const { out } of runs) t.equal(out, runs[0].out)
  t.match(JSON.parse(runs[0].out), { attackRows })
})

t.test('files of one kind each are judged together', async t => {
  const benign = benignCapture()
  const { dir, run } = await folder(t, { 'b.pcap': benign, 'files.csv': 'file,label\nb.pcap,benign\na.pcap,flood\n' })
  const { code, out, err } = await run(
    join(dir, 'b.pcap'),
    join(dir, 'a.pcap'),
    '--labels',
    join(dir, 'files.csv'),
    '--format',
    'json'
  )
  t.equal(code, 0, err)
  t.match(JSON.parse(out), {
    rows: recordsOf(benign).length + records.length,
    attackRows: records.length,
    perLabel: { flood: { rows: records.length } }
  })
})

t.test('with one kind of rows, what is not defined is null', async t => {
  const { dir, run } = await folder(t)
  const [all, none, unlabelled] = await Promise.all([
    run(join(dir, 'a.pcap'), '--label-all', 'flood', '--format', 'json'),
    run(join(dir, 'a.pcap'), '--label-all', 'benign', '--format', 'json'),
    run(join(dir, 'a.pcap'), join(dir, 'a.pcap'))
  ])
  t.match(JSON.parse(all.out), {
    rows: records.length,
    attackRows: records.length,
    rocAuc: null,
    perLabel: { flood: { rocAuc: null } }
  })
  t.match(JSON.parse(none.out), {
    rows: records.length,
    attackRows: 0,
    rocAuc: null,
    perLabel: {},
    confusion: { tp: 0, fn: 0 }
  })
  t.match(unlabelled, { code: 0, err: /no labels/, out: new RegExp(`rows +${2 * records.length}\n`) })
})

t.test('the table says the same', async t => {
  const { dir, run } = await folder(t)
  const [table, json] = await Promise.all(
    ['table', 'json'].map(format => run(join(dir, 'a.pcap'), '--labels', join(dir, 'labels.csv'), '--format', format))
  )
  const {
    rocAuc,
    confusion: { tp, fn }
  } = JSON.parse(json.out) as Evaluation
  t.match(table.out, new RegExp(`ROC AUC +${rocAuc.toFixed(4)}`))
  t.match(table.out, new RegExp(`found, missed +${tp}, ${fn}`))
  t.match(table.out, new RegExp(`flood +${attackRows} `))
})

t.test('the drawing is whole, and safe whatever the labels', async t => {
  const { dir, run } = await folder(t, {
    'hostile.csv': `ip,label\n${ATTACKER},"<script>&""x\u001b"\n10.0.0.10,other\n`
  })
  const labels = join(dir, 'hostile.csv')
  const plot = join(dir, 'p.svg')
  t.match(await run(join(dir, 'a.pcap'), '--labels', labels, '--plot', plot), { code: 0 })
  const svg = readFileSync(plot, 'utf8')
  t.match(svg, /^<svg [^]*<\/svg>\n$/)
  t.match(svg, /AUC 0\.\d{4}/)
  t.match(svg, /threshold/)
  t.notMatch(svg, /<script|NaN|Infinity|undefined|\u001b/)
  t.ok(svg.includes('&#60;script&#62;'))
  t.equal((svg.match(/<g /g) ?? []).length, 2, 'two panels')
  await t.rejects(
    evaluateCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .parseAsync(['a', '--model', 'm', '--plot', 'p.png'], { from: 'user' }),
    { code: 'commander.invalidArgument', message: /\.svg/ }
  )
  t.match(await run(join(dir, 'a.pcap'), '--label-all', 'flood', '--plot', plot), { code: 0 })
  t.match(readFileSync(plot, 'utf8'), /no curve without both/)
})

t.test('mistakes leave no drawing and are told in one line', async t => {
  const bad = {
    'l.csv': 'ip,label\nhost,flood\n',
    'a.csv': 'frame,label\n1,flood\n',
    'unmet.csv': 'ip,label\n10.9.9.9,flood\n',
    'bad.json': '{'
  }
  const { dir, run } = await folder(t, bad)
  const plot = join(dir, 'p.svg')
  const [labels, records, unmet, model, none] = await Promise.all([
    run(join(dir, 'a.pcap'), '--labels', join(dir, 'l.csv'), '--plot', plot),
    run(join(dir, 'a.csv'), '--label-all', 'flood', '--plot', plot),
    run(join(dir, 'a.pcap'), '--labels', join(dir, 'unmet.csv')),
    runArtemis(['evaluate', join(dir, 'a.pcap'), '--model', join(dir, 'bad.json')]),
    run(join(dir, 'a.pcap'), '--mqtt-port', '99')
  ])
  t.match(labels, { code: 1, out: '', err: /l\.csv:2: "host" is no IP address/ })
  t.match(records, { code: 1, out: '', err: /a\.csv:1: column 2 is "label" where it must be time/ })
  t.match(unmet, { code: 0, err: /no row has 10\.9\.9\.9/ })
  t.match(model, { code: 1, err: /bad\.json is no usable model/ })
  t.match(none, { code: 1, err: /no rows to judge[^]*--mqtt-port/ })
  t.notOk(readdirSync(dir).some(name => name.startsWith('p.svg')))
})

t.test('a capture cut short is judged as far as it is whole; a model of packets leaves frames out', async t => {
  const { dir } = await folder(t, { 'cut.pcap': attacked.subarray(0, -3) })
  const few = recordsOf(benignCapture()).slice(0, 200)
  const model = await (
    await trainModel(few, undefined, planOf({ detector: 'iforest' }))
  ).save(join(dir, 'packets.json'))
  const { code, out, err } = await runArtemis([
    'evaluate',
    join(dir, 'cut.pcap'),
    '--model',
    join(dir, 'packets.json'),
    '--label-all',
    '0',
    '--format',
    'json'
  ])
  t.equal(code, 0)
  const packets = records.slice(0, -1).filter(({ features }) => features.mqtt_msg_type !== null).length
  t.match(JSON.parse(out), { rows: packets, threshold: model.threshold })
  t.match(err, /cut short.*What is whole is judged/)
  t.match(err, new RegExp(`${records.length - 1 - packets} rows without an MQTT packet are left out`))
})
