// Figures of bench:detection: classes of frames, stored captures, and the report.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { choices, eachColumn } from '../../bench/ablation/choices.js'
import { sampleEvenly, recordsOf } from '../../bench/detection/captures.js'
import { cutCapture } from '../../bench/detection/cut.js'
import { comparisonReport, detectorsOf } from '../../bench/detection/detectors.js'
import { attackFigures, shortfall, targetOf } from '../../bench/detection/figures.js'
import { attackCaptures, benignCaptures, storedCapture, ensureCaptures } from '../../bench/detection/lab-captures.js'
import { readResults, writeResults, type DetectionResults } from '../../bench/detection/results.js'
import { report } from '../../bench/detection/report.js'
import { ATTACKS } from '../../bench/lab/attacks/catalog.js'
import { DETECTOR_KINDS } from '../../models/index.js'
import { columnsOf } from '../../src/features/columns.js'
import { DEFAULTS } from '../../src/settings.js'
import { ACK, pcapFile, Talk } from '../decode/craft.js'
import { connect, CONNACK } from '../decode/craft-mqtt.js'

t.test('attack frames are classified by sender', async t => {
  // Two benign frames of a device, one of a newcomer, and four attack frames: from the attacker, to it, forwarded,
  // acknowledged.
  const labels = {
    attack: [0, 0, 0, 1, 1, 1, 1],
    byAddress: [0, 0, 0, 1, 1, 0, 0],
    newcomer: [0, 0, 1, 0, 0, 0, 1],
    inbound: [1, 0, 1, 1, 0, 0, 1]
  }
  const figures = attackFigures('retained', labels, [1, 2, 5, 9, 8, 7, 0])
  t.match(figures, { judged: 7, frames: 4, auc: 9 / 12, recall: 3 / 4 })
  t.match(figures.parts, {
    attacker: { frames: 1, auc: 1, recall: 1 },
    toAttacker: { frames: 1, auc: 1, recall: 1 },
    forwarded: { frames: 1, auc: 1, recall: 1 },
    receivers: { frames: 1, auc: 0, recall: 0 }
  })
  t.match(
    figures.byAddress,
    { frames: 2, auc: 1, recall: 1 },
    'the forwarded frame and its acknowledgement count as benign'
  )
  t.match(
    figures.newcomers,
    { frames: 2, auc: 1, recall: 1 },
    'a newcomer that receives the attack does not count as benign there'
  )
  const none = attackFigures('syn-flood', { ...labels, byAddress: labels.attack }, [1, 2, 5, 9, 8, 7, 0]).parts
    .forwarded
  t.ok(none.frames === 0 && Number.isNaN(none.auc))
})

t.test('distance reports the shortfall against the target', async t => {
  t.equal(shortfall({ auc: 0.995, recall: 0.96 }, targetOf('slowite')), 'reached')
  t.equal(shortfall({ auc: 0.95, recall: 0.9 }, targetOf('slowite')), 'short by AUC 0.0400, recall 0.050')
  t.equal(
    shortfall({ auc: 0.995, recall: 0.1 }, targetOf('malaria-json')),
    'short by AUC 0.0040',
    'a flood has no recall target'
  )
})

t.test('existing captures are reused; incomplete ones count as missing', async t => {
  const folder = t.testdir({
    'benign-s3.json': JSON.stringify({ name: 'benign-s3', frames: 7, made: '2026-01-02T03:04:05Z' }),
    'takeover-s2.json': '{"name":',
    'slowite-s2.pcap': ''
  })
  writeFileSync(join(folder, 'port-scan-s2.json'), JSON.stringify({ name: 'port-scan-s2', frames: 8 }))
  const wanted = [...benignCaptures([3]), ...attackCaptures(['port-scan'], 2)]
  const [benign, scan] = await ensureCaptures(folder, wanted)
  t.match(benign, { name: 'benign-s3', frames: 7, made: '2026-01-02T03:04:05Z' })
  t.match(scan, { frames: 8, made: /^\d{4}-/ }, 'without a date, the file time is used')
  for (const name of ['takeover-s2', 'slowite-s2', 'fuzz-s2'])
    t.equal(await storedCapture(folder, name), undefined, name)
})

t.test('unknown names are rejected, and all selects all', async t => {
  t.throws(() => attackCaptures(['port-scan', 'nothing'], 2), { name: 'OperatorError', code: 'bench-attack' })
  t.throws(() => detectorsOf('kmeans,nothing'), { name: 'OperatorError', code: 'bench-detector' })
  t.same(
    detectorsOf('all').map(({ detector }) => detector),
    DETECTOR_KINDS
  )
  t.same(detectorsOf('birch:threshold=0.1:kernel=rbf')[0], {
    detector: 'birch',
    parameters: { threshold: 0.1, kernel: 'rbf' }
  })
  t.equal(
    attackCaptures(
      ATTACKS.map(({ name }) => name),
      2
    ).length,
    ATTACKS.length
  )
})

t.test('a sample is taken evenly', async t => {
  const items = Array.from({ length: 10 }, (_, i) => i)
  t.same(sampleEvenly(items, 4), [0, 2, 5, 7])
  t.same(sampleEvenly(items, 10), items)
  t.same(sampleEvenly(items, 99), items)
})

t.test('figures are written, read again and reported', async t => {
  const figures = attackFigures(
    'slowite',
    { attack: [0, 1], byAddress: [0, 1], newcomer: [0, 0], inbound: [1, 1] },
    [1, 2]
  )
  const run = {
    date: '2026-01-02',
    command: 'npm run bench:detection',
    commit: 'abc',
    node: '20.0.0',
    processor: '2 x X',
    memoryGB: 4,
    load: 1,
    seconds: 61
  }
  const results: DetectionResults = {
    run,
    attacks: [figures],
    model: {
      detector: 'kmeans',
      features: 'behaviour',
      parameters: { nClusters: 3 },
      trainingDigest: 'd',
      captures: ['benign-s3'],
      records: 100,
      taken: 40,
      seconds: 2
    },
    captures: [
      {
        name: 'slowite-s2',
        made: '2026-01-02T03:04:05Z',
        seconds: 90,
        frames: 2,
        attack: 1,
        newcomer: 0,
        dropped: 0,
        took: 120
      }
    ] as DetectionResults['captures'],
    dad: {
      run: { ...run, date: '2025-12-24' },
      figures: [{ name: 'wednesday', judged: 9, frames: 1, auc: 0.5, recall: 0 }]
    }
  }
  const path = join(t.testdir(), 'detection.json')
  await writeResults(path, results)
  const read = await readResults(path)
  t.same(read, results, 'including NaN figures')
  const text = report(results)
  t.match(text, '| slowite | 1 of 2 | 1.0000 | 1.000 | reached |')
  t.match(text, '| slowite-s2 | 2026-01-02 | 90 | 2 | 1 | 0 | 0 |')
  t.match(text, /took 2 minutes to make/)
  t.match(text, /Not scored: run with `--mqttset DIR`/)
  t.match(text, '2025-12-24', 'figures of an earlier run keep their date')
  t.equal(await readResults(`${path}.none`), undefined)
})

t.test('a cut keeps every frame of a few parties, up to the limit of attack frames', async t => {
  const [first, second, camera, attacker, other] = ['10.0.9.1', '10.0.9.2', '10.0.9.3', '10.0.9.66', '10.0.9.67'].map(
    (address, i) => {
      const talk = new Talk(40_000 + i, 10 * i, address).open()
      talk.send('in', connect(4, address))
      talk.send('out', CONNACK)
      return talk.frames
    }
  )
  const goodbye = new Talk(40_000, 100, '10.0.9.1')
  goodbye.send('in', new Uint8Array(0), ACK)
  const frames = [first, second, camera, attacker, other, goodbye.frames].flat()
  const folder = t.testdir({
    from: {
      'fuzz-s2.parties.csv': [
        'address,role,kind,link,arrive_s',
        '10.0.9.1,device,dht11,wire,0',
        '10.0.9.2,device,dht11,air,0',
        '10.0.9.3,device,camera,air,0',
        '10.0.9.66,attacker,fuzz,wire,0',
        '10.0.9.67,attacker,fuzz,wire,0'
      ].join('\n'),
      'fuzz-s2.labels.csv': [
        'frame,label',
        ...frames.map((_, i) => `${i + 1},${i >= 15 && i < 25 ? 'fuzz' : '0'}`)
      ].join('\n')
    },
    to: {}
  })
  writeFileSync(join(folder, 'from', 'fuzz-s2.pcap'), pcapFile(frames))
  const cut = async (attackers: number, maxAttackFrames: number): Promise<string[]> => {
    await cutCapture(join(folder, 'from'), 'fuzz-s2', join(folder, 'to'), {
      perKind: 1,
      attackers,
      maxFrames: Infinity,
      maxAttackFrames
    })
    return (await recordsOf([join(folder, 'to', 'fuzz-s2.pcap.gz')])).map(({ peer }) => peer.client.address)
  }
  const of = (address: string, count: number): string[] => Array<string>(count).fill(address)
  t.same(
    await cut(1, Infinity),
    [...of('10.0.9.1', 5), ...of('10.0.9.66', 5), ...of('10.0.9.1', 1)],
    'one device of the kind, no camera, one attacker'
  )
  t.same(
    readFileSync(join(folder, 'to', 'fuzz-s2.labels.csv'), 'utf8')
      .trim()
      .split('\n'),
    ['frame,label', '6,fuzz', '7,fuzz', '8,fuzz', '9,fuzz', '10,fuzz']
  )
  t.same(await cut(2, 7), [...of('10.0.9.1', 5), ...of('10.0.9.66', 5), ...of('10.0.9.67', 2)])
})

t.test('the ablation removes each group of the shipped columns, and adds excluded columns', async t => {
  const shipped = columnsOf(DEFAULTS.detector.features, 'wire')
  const [all, ...others] = choices()
  t.equal(all.features, DEFAULTS.detector.features)
  const without = others.filter(({ name }) => name.startsWith('- '))
  const taken = without.flatMap(({ features }) => shipped.filter(column => !features.split(',').includes(column)))
  t.same(taken.sort(), [...shipped].sort(), 'each column is in one group')
  t.same(
    eachColumn()
      .slice(1)
      .map(({ features }) => shipped.filter(column => !features.split(',').includes(column))),
    shipped.map(column => [column]),
    'each column is removed once'
  )
  for (const { features } of others) t.ok(columnsOf(features, 'wire').length > 0)
  for (const column of ['ttl', 'tcp_w_size', 'tcp_delta', 'src_ip'])
    t.ok(
      others.some(({ name, features }) => name.startsWith('+ ') && features.split(',').includes(column)),
      column
    )
})

t.test('the comparison marks the default and lists reached targets and skipped detectors', async t => {
  const figures = [
    { attack: 'slowite', frames: 9, auc: 0.995, recall: 0.97 },
    { attack: 'fuzz', frames: 9, auc: 0.9, recall: 0.5 }
  ]
  const [shipped, other] = detectorsOf(`${DEFAULTS.detector.kind},iforest:nEstimators=50`)
  const run = {
    date: '2026-01-02',
    command: 'npm run bench:detection',
    commit: null,
    node: '20.0.0',
    processor: '2 x X',
    memoryGB: 4,
    load: 1,
    seconds: 61
  }
  const text = comparisonReport(
    {
      run,
      detectors: [
        { ...shipped, seconds: 1, microseconds: 2, attacks: figures },
        { ...other, seconds: 3, microseconds: 4, attacks: figures }
      ],
      leftOut: [{ detector: 'random-forest', reason: 'there are no labels' }]
    },
    ['benign-s3'],
    100
  )
  t.match(text, `| ${DEFAULTS.detector.kind} (default) | 1 of 2 | 0.9475 | 0.9000 | 0.735 | 0.500 | 1.0 | 2.0 |`)
  t.match(text, '| iforest nEstimators=50 | 1 of 2 |')
  t.match(text, 'Skipped random-forest: there are no labels.')
})
