// Records from captures, CSV and NDJSON are equal; errors name file, line and column.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { readRecordFile } from '../../../broker/records/record-input.js'
import { readRecordCsv } from '../../../broker/records/record-csv.js'
import { readTrainingData } from '../../../broker/records/training-data.js'
import { labelAll, readLabels } from '../../../broker/labels/labels.js'
import { Random } from '../../../models/random.js'
import { OperatorError } from '../../../src/errors.js'
import { recordWriter } from '../../../src/features/record-writer.js'
import type { TrafficRecord } from '../../../src/record.js'
import { attackedCapture } from '../../support/labelled-traffic.js'

const input = { ports: [1883], signal: new AbortController().signal }
const capture = attackedCapture(1, 5)

async function read(file: string, given = input): Promise<TrafficRecord[]> {
  const all = []
  for await (const records of readRecordFile(file, given)) all.push(...records.map(copyOf))
  return all
}

async function parse(...chunks: Uint8Array[]): Promise<TrafficRecord[]> {
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* chunks
  }
  const all = []
  for await (const records of readRecordCsv(source(), 'r.csv', [1883])) all.push(...records)
  return all
}

/** Copies a record, without the data that a CSV of Table I lacks. */
function copyOf(record: TrafficRecord): TrafficRecord {
  const { peer } = record
  peer.clientId = peer.username = null
  const features = { ...record.features }
  delete features.context
  return {
    ...record,
    packets: Math.min(1, record.packets),
    join: features.mqtt_msg_type === null ? 'none' : 'decoded',
    peer,
    features: { ...features, mqtt_msg: features.mqtt_msg === null ? null : new Uint8Array(features.mqtt_msg) }
  }
}

async function csvOf(
  t: Test,
  manyFiles = false,
  name = 'a "b", c\nd.pcap'
): Promise<{ csv: string; records: TrafficRecord[] }> {
  const file = join(t.testdir({ 'a.pcap': capture }), 'a.pcap')
  const records = await read(file)
  const writer = recordWriter('csv', manyFiles)
  return { csv: writer.header + records.map(record => writer.line(record, name)).join(''), records }
}

t.test('refuses a CSV of Table I if the model needs context', async t => {
  const { csv } = await csvOf(t)
  const dir = t.testdir({ 'a.csv': csv, 'a.pcap': capture })
  const contextInput = { ...input, needsContext: true }
  await t.rejects(read(join(dir, 'a.csv'), contextInput), {
    code: 'csv',
    message: /a\.csv:1: only the columns of Table I/,
    remedy: /--features full/
  })
  t.ok((await read(join(dir, 'a.pcap'), contextInput)).length > 0, 'a capture has context')
})

t.test('a CSV has the records of its capture', async t => {
  const { csv, records } = await csvOf(t)
  t.ok(records.length > 200)
  const file = join(t.testdir({ 'a.csv': csv, 'b.csv.gz': gzipSync(csv) }), 'a.csv')
  // A mean of 20 times has more digits than the CSV.
  const rounded = (all: TrafficRecord[]): unknown[] =>
    all.map(record => ({
      ...record,
      features: {
        ...record.features,
        l20_avg: record.features.l20_avg?.toFixed(12),
        tcp_delta: record.features.tcp_delta?.toFixed(12)
      }
    }))
  t.same(rounded(await read(file)), rounded(records))
  t.same(rounded(await read(file.replace('a.csv', 'b.csv.gz'))), rounded(records))
  t.same(
    rounded(await parse(Buffer.from((await csvOf(t, true)).csv))),
    rounded(records),
    'with a file column and any file name'
  )
  const [{ peer }] = records
  t.ok(records.filter(record => record.peer === peer).length > 1, 'records of a connection share a peer')
})

t.test('full CSV and NDJSON have the records of their capture, including context and payloads', async t => {
  const file = join(t.testdir({ 'a.pcap': capture }), 'a.pcap')
  const data = async (path: string): Promise<unknown[]> =>
    (await readTrainingData([path], input, undefined, 1)).records.map(
      ({ frame, features, packets, initiated, direction }) => ({
        frame,
        packets,
        initiated,
        direction,
        context: features.context,
        message: features.mqtt_msg
      })
    )
  const expected = await data(file)
  const { records } = await readTrainingData([file], input, undefined, 1)
  t.ok(
    records.some(({ features }) => (features.context?.payloads?.length ?? 0) > 0),
    'some have payloads'
  )
  for (const format of ['csv', 'ndjson'] as const) {
    const writer = recordWriter(format, false, 'full')
    const path = join(
      t.testdir({ [`a.${format}`]: writer.header + records.map(record => writer.line(record, '')).join('') }),
      `a.${format}`
    )
    t.same(await data(path), expected, format)
  }
  const writer = recordWriter('ndjson', false, 'full')
  const [packet] = await read(
    join(t.testdir({ 'b.ndjson': writer.line({ ...records[0], frame: null }, '') }), 'b.ndjson')
  )
  t.equal(packet.frame, null, 'a packet without a tap')
})

t.test('reads the whole lines of truncated NDJSON and reports the truncation', async t => {
  const folder = t.testdir({ 'a.pcap': capture, 'c.ndjson': '' })
  const {
    records: [first, second]
  } = await readTrainingData([join(folder, 'a.pcap')], input, undefined, 1)
  const writer = recordWriter('ndjson', false, 'full')
  const path = join(folder, 'c.ndjson')
  writeFileSync(path, (writer.line(first, '') + writer.line(second, '')).trimEnd())
  t.equal((await readTrainingData([path], input, undefined, 1)).records.length, 2, 'the last line may lack a line end')
  writeFileSync(path, writer.line(first, '') + writer.line(second, '').slice(0, -20))
  await t.rejects(read(path), { code: 'records-cut-short', message: /c\.ndjson.*truncated/ })
  const warnings: string[] = []
  const { records } = await readTrainingData(
    [path],
    {
      ...input,
      onTruncated: ({ message }) => {
        warnings.push(message)
      }
    },
    undefined,
    1
  )
  t.equal(records.length, 1)
  t.match(warnings, [/c\.ndjson.*truncated/])
})

t.test('labels records by file', async t => {
  const folder = t.testdir({
    'benign.pcap': capture,
    'flood.pcap': capture,
    'labels.csv': 'file,label\nflood.pcap,flood\nbenign.pcap,benign\n'
  })
  const files = ['benign.pcap', 'flood.pcap'].map(name => join(folder, name))
  const { labels = [] } = await readTrainingData(files, input, await readLabels(join(folder, 'labels.csv'), files), 1)
  const half = labels.length / 2
  t.ok(half > 0)
  t.ok(labels.slice(0, half).every(label => label === null))
  t.ok(labels.slice(half).every(label => label === 'flood'))
})

t.test('reads a CSV in chunks of any size', async t => {
  const text = Buffer.from((await csvOf(t)).csv).subarray(0, 1500)
  const end = text.lastIndexOf('\n') + 1
  const whole = JSON.stringify(await parse(text.subarray(0, end)))
  const different = []
  for (let i = 0; i <= end; i++)
    if (JSON.stringify(await parse(text.subarray(0, i), text.subarray(i, end))) !== whole) different.push(i)
  t.same(different, [])
})

t.test('reads an empty payload', async t => {
  const { csv } = await csvOf(t)
  const [header, ...lines] = csv.split('\n')
  const index = header.split(',').indexOf('mqtt_msg')
  const line = lines.find(text => text.split(',')[index] !== '') ?? ''
  const [record] = await parse(Buffer.from(`${header}\n${line.split(',').with(index, '').join()}\n`))
  t.same(record.features.mqtt_msg, new Uint8Array(0))
})

t.test('reports errors with file, line and column', async t => {
  const { csv } = await csvOf(t)
  const [header, first, second] = csv.split('\n')
  const names = header.split(',')
  const change = (name: string, value: string): string =>
    `${header}\n${first}\n${second.split(',').with(names.indexOf(name), value).join()}\n`
  const errors: [string, RegExp][] = [
    [change('frame', ''), /r\.csv:3: frame is empty/],
    [change('frame', '-1'), /3: frame is "-1"/],
    [change('time', 'noon'), /3: time/],
    [change('time', '1e9'), /3: time/],
    [change('src_ip', '10.0.0'), /3: src_ip is "10\.0\.0", but must be an IP address/],
    [change('src_ip', ''), /3: address or port missing/],
    [change('tcp_ack_flag', '2'), /3: tcp_ack_flag is "2", but must be 0 or 1/],
    [change('ttl', '256'), /3: ttl .* 255/],
    [change('ttl', '0x10'), /3: ttl/],
    [change('ttl', ' 64'), /3: ttl/],
    [change('tcp_delta', 'NaN'), /3: tcp_delta/],
    [change('tcp_delta', '1e400'), /3: tcp_delta/],
    [change('mqtt_msg', 'abc'), /3: mqtt_msg/],
    [change('mqtt_msg', 'ABCD'), /3: mqtt_msg .* lower-case hex/],
    [change('mqtt_msg_type', '16'), /3: mqtt_msg_type/],
    [change('tcp_dst_port', '40000').replace(/,1883,/, ',40000,'), /(3|2): neither port/],
    [change('ttl', '\u001b[31m'), /3: ttl is "\\\\?u001b/],
    [`${header}\n${first},\n`, /2: 34 fields, but must be 33/],
    [`${header}\n${first}\n\n`, /3: 1 fields/],
    [header.replace('ttl', 'TTL') + '\n', /1: column 10 is "TTL", but must be ttl/],
    [`${header},more\n`, /1: column 34 is "more", but must be frame_up/],
    ['frame,\n', /1: column 2 is empty/]
  ]
  for (const [text, message] of errors) {
    await t.rejects(
      parse(Buffer.from(text)),
      { name: 'OperatorError', code: 'csv', message, remedy: /./ },
      String(message)
    )
  }
})

t.test('random bytes give records or an error with its line', async t => {
  const text = Buffer.from((await csvOf(t)).csv).subarray(0, 4000)
  const random = new Random(7)
  let refused = 0
  for (let round = 0; round < 500; round++) {
    const bytes = Buffer.from(text)
    for (let i = 0; i < 1 + random.integer(5); i++) bytes[random.integer(bytes.length)] = random.integer(256)
    const error: unknown = await parse(bytes.subarray(0, random.integer(bytes.length + 1))).catch(
      (cause: unknown) => cause
    )
    if (Array.isArray(error)) continue
    refused++
    if (!(error instanceof OperatorError && error.code === 'csv' && /^r\.csv:\d+: /.test(error.message)))
      t.fail(`round ${round}`, { error })
  }
  t.ok(refused > 300, `${refused} of 500 were refused`)
})

t.test('refuses unknown formats and reports truncated captures', async t => {
  const dir = t.testdir({ text: 'frame.number;ip.src\n', empty: '', cut: capture.subarray(0, -3) })
  await t.rejects(read(join(dir, 'text')), {
    code: 'capture-not-recognised',
    message: /text: not a capture, nor a CSV/,
    remedy: /extract/
  })
  await t.rejects(read(join(dir, 'empty')), { code: 'capture-empty', message: /empty/ })
  await t.rejects(read(join(dir, 'none')), { code: 'capture-unreadable', message: /none/ })
  await t.rejects(read(join(dir, 'cut')), { code: 'capture-cut-short' })
  const errors: Error[] = []
  const records = await read(join(dir, 'cut'), {
    ...input,
    onTruncated: (error: Error) => {
      errors.push(error)
    }
  } as typeof input)
  t.match(errors, [{ message: /cut: the capture is truncated/ }])
  t.ok(records.length > 200)
})

t.test('training data is copied, labelled and limited in number', async t => {
  const dir = t.testdir({ 'a.pcap': capture })
  const file = join(dir, 'a.pcap')
  const all = await readTrainingData([file, file], input, undefined, 1)
  t.equal(all.seen, all.records.length)
  t.equal(all.labels, undefined)
  const payloads = all.records.flatMap(({ features }) => features.mqtt_msg ?? [])
  t.ok(
    payloads.length > 100 && payloads.every(payload => payload.byteLength === payload.buffer.byteLength),
    'payloads are copies'
  )
  const some = await readTrainingData([file, file], input, labelAll('flood'), 1, 50)
  t.equal(some.records.length, 50)
  t.equal(some.seen, all.seen)
  t.same(some.labels, new Array(50).fill('flood'))
  const restarts = some.records.filter(({ frame }, i) => i > 0 && Number(frame) <= Number(some.records[i - 1].frame))
  t.equal(restarts.length, 1, 'both files are in the sample, each in order')
  t.same(
    await readTrainingData([file, file], input, labelAll('flood'), 1, 50),
    some,
    'the same seed draws the same sample'
  )
})
