// artemis evaluate: figures, labels and plot.

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

const attackedPcap = attackedCapture()

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

const records = recordsOf(attackedPcap)
const isAttackRow = records.map(({ features: { src_ip: from, dst_ip: to } }) => from === ATTACKER || to === ATTACKER)
const attackRows = isAttackRow.filter(Boolean).length

/** A folder with a model trained on benign traffic, a capture with attacks, and labels. */
async function folder(
  t: Test,
  more: Record<string, string | Buffer> = {}
): Promise<{ dir: string; model: GuardModel; run: (...args: string[]) => ReturnType<typeof runArtemis> }> {
  const dir = t.testdir({ 'a.pcap': attackedPcap, 'labels.csv': `ip,label\n${ATTACKER},flood\n`, ...more })
  const fitted = await trainModel(recordsOf(benignCapture()), undefined, planOf({ detector: 'ocsvm' }))
  const model = await fitted.save(join(dir, 'm.json'))
  return { dir, model, run: (...args) => runArtemis(['evaluate', ...args, '--model', join(dir, 'm.json')]) }
}

t.test('figures as JSON have a stable format', async t => {
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
  const { scores } = model.score(records)
  const detected = isAttackRow.filter((attack, i) => attack && scores[i] > model.threshold).length
  const falsePositives = isAttackRow.filter((attack, i) => !attack && scores[i] > model.threshold).length
  t.match(figures, {
    rows: records.length,
    attackRows,
    threshold: model.threshold,
    confusion: {
      tp: detected,
      fn: attackRows - detected,
      fp: falsePositives,
      tn: records.length - attackRows - falsePositives
    },
    perLabel: { flood: { rows: attackRows, recall: detected / attackRows, rocAuc: figures.rocAuc } }
  })
  t.ok(figures.rocAuc > 0.9)
})

t.test('all label and input formats give the same figures', async t => {
  const { dir, run } = await folder(t, {
    'frames.csv': `frame,label\n${records.map(({ frame }, i) => `${frame},${isAttackRow[i] ? 'flood' : 0}`).join('\n')}\n`,
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

t.test('several files are evaluated together', async t => {
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

t.test('undefined figures are null if there is only one class', async t => {
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
  t.match(unlabelled, { code: 0, err: /No labels/, out: new RegExp(`rows +${2 * records.length}\n`) })
})

t.test('the table has the same figures as the JSON', async t => {
  const { dir, run } = await folder(t)
  const [table, json] = await Promise.all(
    ['table', 'json'].map(format => run(join(dir, 'a.pcap'), '--labels', join(dir, 'labels.csv'), '--format', format))
  )
  const {
    rocAuc,
    confusion: { tp, fn }
  } = JSON.parse(json.out) as Evaluation
  t.match(table.out, new RegExp(`ROC AUC +${rocAuc.toFixed(4)}`))
  t.match(table.out, new RegExp(`detected, missed +${tp}, ${fn}`))
  t.match(table.out, new RegExp(`flood +${attackRows} `))
})

t.test('the plot is complete, and hostile labels are escaped', async t => {
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
  t.match(readFileSync(plot, 'utf8'), /no curve: needs both/)
})

t.test('errors leave no plot', async t => {
  const bad = {
    'l.csv': 'ip,label\nhost,flood\n',
    'a.csv': 'frame,label\n1,flood\n',
    'unmatched.csv': 'ip,label\n10.9.9.9,flood\n',
    'bad.json': '{'
  }
  const { dir, run } = await folder(t, bad)
  const plot = join(dir, 'p.svg')
  const [labels, records, unmatched, model, none] = await Promise.all([
    run(join(dir, 'a.pcap'), '--labels', join(dir, 'l.csv'), '--plot', plot),
    run(join(dir, 'a.csv'), '--label-all', 'flood', '--plot', plot),
    run(join(dir, 'a.pcap'), '--labels', join(dir, 'unmatched.csv')),
    runArtemis(['evaluate', join(dir, 'a.pcap'), '--model', join(dir, 'bad.json')]),
    run(join(dir, 'a.pcap'), '--mqtt-port', '99')
  ])
  t.match(labels, { code: 1, out: '', err: /l\.csv:2: "host" is not an IP address/ })
  t.match(records, { code: 1, out: '', err: /a\.csv:1: column 2 is "label", but must be time/ })
  t.match(unmatched, { code: 0, err: /no row matches 10\.9\.9\.9/ })
  t.match(model, { code: 1, err: /bad\.json is not a valid model/ })
  t.match(none, { code: 1, err: /no rows to score[^]*--mqtt-port/ })
  t.notOk(readdirSync(dir).some(name => name.startsWith('p.svg')))
})

t.test('the whole records of a truncated capture are scored; a packet model skips frames', async t => {
  const { dir } = await folder(t, { 'cut.pcap': attackedPcap.subarray(0, -3) })
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
  t.match(err, /truncated.*Scoring the records before it/)
  t.match(err, new RegExp(`Skipped ${records.length - 1 - packets} rows without an MQTT packet`))
})
