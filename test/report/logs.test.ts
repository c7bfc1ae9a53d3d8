// The two log files: complete lines, one report of a write error, lost lines counted.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { EveLog } from '../../src/report/eve-log.js'
import { RecordLog } from '../../src/report/record-log.js'
import { values } from '../features/feature-values.js'
import { record } from '../support/records.js'
import { waitUntil } from '../support/wait-until.js'

t.test('alerts are appended, one JSON object per line', async t => {
  const path = join(t.testdir({ 'eve.json': '{"earlier":true}\n' }), 'eve.json')
  const log = new EveLog(path, error => {
    t.fail(error.message)
  })
  log.write({ id: 1, text: 'a\nb' })
  log.write({ id: 2 })
  await log.close()
  await log.close()
  t.same(
    readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as unknown),
    [{ earlier: true }, { id: 1, text: 'a\nb' }, { id: 2 }]
  )
  t.equal(log.lost, 0)
  log.write({ id: 3 })
  t.equal(log.lost, 1, 'lines after close are lost')
})

t.test('control characters in client ids are escaped', async t => {
  const path = join(t.testdir(), 'eve.json')
  const log = new EveLog(path, error => {
    t.fail(error.message)
  })
  const event = { client_id: 'a\u009b31m\u007f\u202eb\u001b[0m', reading: '23 °C' }
  log.write(event)
  await log.close()
  const line = readFileSync(path, 'utf8').trimEnd()
  t.notMatch(line, /[\u0000-\u001f\u007f-\u009f\u202e]/)
  t.match(line, '°C', 'printable characters are unchanged')
  t.same(JSON.parse(line), event)
})

t.test('records in the format of extract', async t => {
  const path = join(t.testdir(), 'records.ndjson')
  const log = new RecordLog(path, error => {
    t.fail(error.message)
  })
  log.write(
    record(0.25, {
      frame: 3,
      features: values({ ttl: 64, mqtt_msg: Buffer.from('hi'), tcp_delta: 0.5, src_ip: '192.0.2.7' })
    })
  )
  log.write(record(1))
  await log.close()
  const [first, second] = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
  t.match(first, {
    frame: 3,
    time: 1_700_000_000.25,
    ttl: 64,
    mqtt_msg: '6869',
    tcp_delta: 0.5,
    src_ip: '192.0.2.7',
    mqtt_len: null
  })
  t.equal(Object.keys(first).length, 33)
  t.match(second, { frame: null, time: 1_700_000_001 })
  t.equal(log.lost, 0)
})

for (const [name, open] of [
  [
    'alerts',
    (path: string, onError: (error: Error) => void) => {
      const log = new EveLog(path, onError)
      return {
        log,
        write: () => {
          log.write({})
        }
      }
    }
  ],
  [
    'records',
    (path: string, onError: (error: Error) => void) => {
      const log = new RecordLog(path, onError)
      return {
        log,
        write: () => {
          log.write(record(0))
        }
      }
    }
  ]
] as const) {
  t.test(`lost ${name} are counted, the error is reported once`, async t => {
    const folder = t.testdir()
    writeFileSync(join(folder, 'file'), '')
    const errors: string[] = []
    const { log, write } = open(join(folder, 'file', 'below.json'), ({ message }) => errors.push(message))
    for (let i = 0; i < 3; i++) write()
    await waitUntil('the error', () => errors.length > 0)
    for (let i = 0; i < 3; i++) write()
    await log.close()
    t.equal(errors.length, 1)
    t.match(errors[0], /ENOTDIR/)
    t.equal(log.lost, 6)
  })
}
