// Label files by address and time, by frame and by file; errors with their lines.

import { join } from 'node:path'
import t, { type Test } from 'tap'
import { labelOf, type Labels } from '../../broker/labels/label.js'
import { labelAll, readLabels } from '../../broker/labels/labels.js'
import type { TrafficRecord } from '../../src/record.js'
import { values } from '../features/feature-values.js'

function record(given: { frame?: number; time?: number; from?: string; to?: string }): TrafficRecord {
  const { frame = 1, time = 100, from = '10.0.0.2', to = '10.0.0.1' } = given
  const peer = {
    client: { address: from, port: 4 },
    broker: { address: to, port: 1883 },
    connection: null,
    clientId: null,
    username: null
  }
  return {
    frame,
    seconds: time,
    nanoseconds: 0,
    features: values({ src_ip: from, dst_ip: to }),
    join: 'none',
    direction: 'in',
    peer,
    packets: 0,
    initiated: 0,
    own: false
  }
}

async function read(t: Test, text: string, files = ['a.pcap']): Promise<Labels> {
  return await readLabels(join(t.testdir({ 'labels.csv': text }), 'labels.csv'), files)
}

t.test('by address: either end, within the time range, the first attack wins', async t => {
  for (const header of ['ip,label,from,to\n', '']) {
    const labels = await read(t, `${header}10.0.0.2,benign\n10.0.0.66,flood,100,200\n10.0.0.66,slow\n10.0.0.1,0\n\n`)
    t.equal(labels.of(record({})), null)
    t.equal(labels.of(record({ from: '10.0.0.66', time: 100 })), 'flood')
    t.equal(labels.of(record({ from: '10.0.0.66', time: 200 })), 'flood')
    t.equal(labels.of(record({ from: '10.0.0.66', time: 201 })), 'slow')
    t.equal(
      labels.of(record({ to: '10.0.0.66', time: 99 })),
      'slow',
      'an attack overrides a benign label of the other end'
    )
    t.equal(labels.of(record({ from: '10.0.0.9', to: '10.0.0.8' })), null)
    t.same(labels.unmatched(), [])
  }
})

t.test('addresses are normalised', async t => {
  const labels = await read(t, 'ip,label\n::ffff:10.0.0.5,a\n2001:DB8:0:0:0:0:0:1,b\n::ffff:c000:0201,c\n10.9.9.9,d\n')
  t.equal(labels.of(record({ from: '10.0.0.5' })), 'a')
  t.equal(labels.of(record({ from: '2001:db8::1' })), 'b')
  t.equal(labels.of(record({ from: '192.0.2.1' })), 'c')
  t.same(labels.unmatched(), ['10.9.9.9'])
})

t.test('by frame, for one capture', async t => {
  for (const header of ['frame,label\n', '']) {
    const labels = await read(t, `${header}1,0\n2,flood\n7,Benign\n`)
    t.same(
      [1, 2, 5, 7].map(frame => labels.of(record({ frame }))),
      [null, 'flood', null, null]
    )
    t.throws(() => labels.of(record({ frame: 7 })), { code: 'labels-frames', message: /more than one capture/ })
  }
  const elsewhere = await read(t, 'frame,label\n1,flood\n8,0\n9,flood\n')
  elsewhere.of(record({ frame: 1 }))
  t.same(elsewhere.unmatched(), ['frame 9'], 'attacks without a row, not benign labels')
  await t.rejects(read(t, 'frame,label\n1,flood\n', ['a.pcap', 'b.pcap']), {
    code: 'labels-frames',
    message: /2 files/
  })
})

t.test('by file: every file needs a row with its base name', async t => {
  const labels = await read(t, 'file,label\nlegitimate.pcap,benign\nflood.pcap,flood\nslow.pcap,slow\n', [
    'a/legitimate.pcap',
    'flood.pcap'
  ])
  labels.start('a/legitimate.pcap')
  t.equal(labels.of(record({})), null)
  labels.start('flood.pcap')
  t.equal(labels.of(record({})), 'flood')
  t.same(labels.unmatched(), ['slow.pcap'])
  t.throws(
    () => {
      labels.start('a/other.pcap')
    },
    { code: 'labels-files', message: /"other\.pcap"/, remedy: /other\.pcap,benign/ }
  )
  for (const row of ['flood.pcap', 'a/flood.pcap,flood', ',flood', 'flood.pcap,', 'legitimate.pcap,flood']) {
    await t.rejects(
      read(t, `file,label\nlegitimate.pcap,0\n${row}\n`),
      { code: 'csv', message: /labels\.csv:3: / },
      row
    )
  }
})

t.test('labels all records alike', t => {
  t.equal(labelAll(labelOf('flood')).of(record({})), 'flood')
  for (const name of ['0', 'benign', 'BENIGN']) t.equal(labelAll(labelOf(name)).of(record({})), null)
  t.end()
})

t.test('reports errors with file and line', async t => {
  const errors: [string, number][] = [
    ['address,label\n', 1],
    ['frame.number;label\n', 1],
    ['ip,label\n10.0.0.2,a\nhost,b\n', 3],
    ['ip,label\nfe80::1%eth0,b\n', 2],
    ['ip,label\n10.0.0.2\n', 2],
    ['ip,label\n10.0.0.2,\n', 2],
    ['ip,label,from,to\n10.0.0.2,a,noon\n', 2],
    ['ip,label,from,to\n10.0.0.2,a,5,4\n', 2],
    ['ip,label,from,to\n10.0.0.2,a,1,2,3\n', 2],
    ['frame,label\n1,a\n1,b\n', 3],
    ['frame,label\n-1,a\n', 2],
    ['frame,label\n1,a,b\n', 2],
    ['frame,label\n1,"a\n', 2]
  ]
  for (const [text, line] of errors) {
    await t.rejects(
      read(t, text),
      { name: 'OperatorError', code: 'csv', message: new RegExp(`labels\\.csv:${line}: `), remedy: /./ },
      JSON.stringify(text)
    )
  }
  await t.rejects(read(t, ''), { code: 'labels-empty' })
  await t.rejects(readLabels('/no/such/file', ['a']), { code: 'labels-unreadable' })
})
