// The encoding: columns, scales and errors.

import t from 'tap'
import { columnsOf } from '../../src/features/columns.js'
import { Encoding, MISSING } from '../../src/features/encoding.js'
import { FEATURES, type FeatureName, type FeatureValues } from '../../src/features/schema.js'
import { telemetry, values } from './feature-values.js'

/** Encodes records with a single column. */
function encodeColumn(name: FeatureName, records: Partial<FeatureValues>[]): number[] {
  const full = records.map(values)
  const encoding = Encoding.fit(full, { columns: [name] })
  return full.map(record => encoding.encode(record)[0])
}

t.test('presets', async t => {
  t.same(
    columnsOf('table1', 'wire'),
    FEATURES.map(({ name }) => name)
  )
  t.equal(columnsOf('table1-no-identity', 'wire').length, 27)
  t.same(columnsOf('table1-no-identity', 'broker'), [
    'tcp_pdu_size',
    'mqtt_header',
    'mqtt_msg',
    'mqtt_len',
    'mqtt_topic_len',
    'mqtt_msg_type',
    'mqtt_qos_lvl'
  ])
  t.same(columnsOf('table1', 'broker').slice(0, 5), [
    'src_ip',
    'dst_ip',
    'tcp_pdu_size',
    'tcp_src_port',
    'tcp_dst_port'
  ])
})

t.test('lists of names are in the order of Table I', async t => {
  t.same(columnsOf('mqtt_len, ttl,tcp_len', 'wire'), ['ttl', 'tcp_len', 'mqtt_len'])
  t.same(columnsOf('mqtt_len, ttl,tcp_len', 'broker'), ['mqtt_len'])
  t.throws(() => columnsOf('mqtt_len,weather', 'wire'), { code: 'features-unknown' })
  t.throws(() => columnsOf('', 'wire'), { code: 'features-unknown' })
  t.throws(() => columnsOf('ttl', 'broker'), { code: 'features-none' })
})

t.test('every preset encodes every record to finite numbers', async t => {
  const records = telemetry(50, 1)
  for (const features of ['table1', 'table1-no-identity']) {
    for (const variant of ['wire', 'broker'] as const) {
      const encoding = Encoding.fit(records, { columns: columnsOf(features, variant) })
      const rows = [...records, values()].map(record => encoding.encode(record))
      t.ok(
        rows.every(row => row.length === encoding.columns.length && row.every(Number.isFinite)),
        `${features} ${variant}`
      )
    }
  }
})

t.test('missing values and NaN are one value below all others', async t => {
  for (const { name } of FEATURES) {
    if (name === 'src_ip' || name === 'dst_ip' || name === 'mqtt_msg') continue
    const [missing, nan, zero, one] = encodeColumn(name, [{}, { [name]: NaN }, { [name]: 0 }, { [name]: 1 }])
    t.ok(missing === MISSING && nan === MISSING && zero > MISSING && one > zero, name)
  }
})

t.test('lengths and times are logarithmic', async t => {
  t.same(encodeColumn('tcp_len', [{ tcp_len: 0 }, { tcp_len: 1 }, { tcp_len: 1023 }]), [0, Math.log(2), Math.log(1024)])
  t.same(encodeColumn('tcp_delta', [{ tcp_delta: -0.1 }, { tcp_delta: 0.001 }, { tcp_delta: 1 }]), [
    0,
    Math.log(2),
    Math.log(1001)
  ])
})

t.test('addresses become numbers', async t => {
  const [low, next, high, six, other, none] = encodeColumn('src_ip', [
    { src_ip: '0.0.0.1' },
    { src_ip: '0.0.0.2' },
    { src_ip: '255.255.255.255' },
    { src_ip: '2001:db8::1' },
    { src_ip: '2001:db8::2' },
    {}
  ])
  t.ok(0 < low && low < next && next < high && high < 1)
  t.ok(six >= 1 && six < 2 && other >= 1 && other < 2 && six !== other)
  t.equal(none, MISSING)
})

t.test('a payload is encoded as its likelihood; without one, as the training mean', async t => {
  const records = telemetry(100, 1)
  const encoding = Encoding.fit(records, { columns: ['mqtt_msg'] })
  const [none] = encoding.encode(values())
  t.equal(none, encoding.payload?.neutral)
  t.equal(encoding.encode(values({ mqtt_msg: new Uint8Array() }))[0], none)
  const [usual] = encoding.encode(records[0])
  const [strange] = encoding.encode(values({ mqtt_msg: Buffer.from('\u0000\u0001\u0002\u0003strange\u0004') }))
  t.ok(strange < usual - 1, `${strange} < ${usual} - 1`)
  t.ok(encoding.encodeHeldOut(records[0])[0] < usual, 'a held-out training payload is less usual')
})

t.test('constant columns are dropped', async t => {
  const records = telemetry(50, 1)
  const encoding = Encoding.fit(records, { columns: columnsOf('table1-no-identity', 'wire') })
  t.notOk(encoding.columns.includes('tcp_urg_flag'))
  t.ok(encoding.dropped.includes('tcp_urg_flag'))
  t.same(encoding.encode({ ...records[0], tcp_urg_flag: 1 }), encoding.encode(records[0]))
  const silent = records.map(record => ({ ...record, mqtt_msg: null }))
  t.ok(Encoding.fit(silent, { columns: columnsOf('table1', 'wire') }).dropped.includes('mqtt_msg'))
  t.throws(() => Encoding.fit([values(), values()], { columns: columnsOf('table1', 'wire') }), {
    code: 'training-data'
  })
  t.throws(() => Encoding.fit([], { columns: columnsOf('table1', 'wire') }), { code: 'training-data' })
})

t.test('records are read once', async t => {
  function* stream() {
    yield* telemetry(20, 1)
  }
  const columns = columnsOf('table1', 'wire')
  t.equal(
    JSON.stringify(Encoding.fit(stream(), { columns })),
    JSON.stringify(Encoding.fit(telemetry(20, 1), { columns }))
  )
})

t.test('JSON restores it', async t => {
  const records = telemetry(50, 1)
  const encoding = Encoding.fit(records, { columns: columnsOf('table1', 'wire') })
  const loaded = Encoding.fromJSON(JSON.parse(JSON.stringify(encoding)))
  t.same(loaded.columns, encoding.columns)
  t.same(loaded.dropped, encoding.dropped)
  t.same(
    records.map(record => loaded.encode(record)),
    records.map(record => encoding.encode(record))
  )
})

t.test('JSON with other features is refused', async t => {
  const json = Encoding.fit(telemetry(50, 1), { columns: columnsOf('table1', 'wire') }).toJSON()
  t.throws(() => Encoding.fromJSON({ ...json, features: json.features.toReversed() }), { code: 'model-features' })
  t.throws(() => Encoding.fromJSON({ ...json, features: [...json.features, 'weather'] }), { code: 'model-features' })
  t.throws(() => Encoding.fromJSON({ ...json, columns: ['weather:value'] }), { code: 'model-features' })
  t.throws(
    () => Encoding.fromJSON({ ...json, columns: ['tcp_len:value'] }),
    { code: 'model-features' },
    'another coding'
  )
  t.throws(() => Encoding.fromJSON({ ...json, columns: [] }), { code: 'state' })
  t.throws(() => Encoding.fromJSON({ ...json, columns: ['tcp_len:log', 'tcp_len:log'] }), { code: 'state' })
  t.throws(() => Encoding.fromJSON({ ...json, payload: null }), { code: 'state' })
  t.throws(() => Encoding.fromJSON('table1'), { code: 'state' })
})
