// Alerts as Suricata's EVE JSON, compared field by field.

import t from 'tap'
import type { Alert } from '../../src/alert/alert.js'
import { eveAlert, eveBan } from '../../src/report/eve.js'

const CLIENT: Alert = {
  id: 7,
  state: 'raised',
  time: 1_700_000_000.1234567,
  subject: {
    scope: 'client',
    clientId: 'drill-9',
    username: 'alice',
    address: '192.0.2.7',
    port: 50_123,
    broker: { address: '192.0.2.100', port: 1883 }
  },
  rule: 'level',
  value: 0.7123456,
  limit: 0.5,
  score: 0.98765,
  average: 0.81239,
  movingAverage: 0.7123456,
  previousMovingAverage: 0.4,
  records: 42,
  contributions: [
    { feature: 'mqtt_msg', value: -6.25, contribution: 0.125 },
    { feature: 'src_ip', value: '192.0.2.7', contribution: 0.0625 },
    { feature: 'mqtt_qos_lvl', value: null, contribution: 0.03125 }
  ],
  detector: 'iforest',
  model: 'c0ffee',
  response: 'ban'
}

t.test('an alert about a client', async t => {
  t.strictSame(JSON.parse(JSON.stringify(eveAlert(CLIENT, true))), {
    timestamp: '2023-11-14T22:13:20.123457+0000',
    event_type: 'alert',
    src_ip: '192.0.2.7',
    src_port: 50123,
    dest_ip: '192.0.2.100',
    dest_port: 1883,
    proto: 'TCP',
    app_proto: 'mqtt',
    alert: {
      action: 'blocked',
      gid: 1,
      signature_id: 2,
      rev: 1,
      signature: 'ARTEMIS client: outlier probability is higher than on benign traffic',
      category: 'MQTT anomaly',
      severity: 1
    },
    artemis: {
      id: 7,
      state: 'raised',
      scope: 'client',
      client_id: 'drill-9',
      username: 'alice',
      rule: 'level',
      value: 0.7123,
      threshold: 0.5,
      score: 0.9877,
      avg: 0.8124,
      movAvg: 0.7123,
      prevMovAvg: 0.4,
      records: 42,
      contributions: [
        { feature: 'mqtt_msg', value: -6.25, contribution: 0.125 },
        { feature: 'src_ip', value: '192.0.2.7', contribution: 0.0625 },
        { feature: 'mqtt_qos_lvl', value: null, contribution: 0.03125 }
      ],
      detector: 'iforest',
      model: 'c0ffee',
      response: 'ban'
    }
  })
})

t.test('an alert about the gateway names no client', async t => {
  const event = eveAlert({
    ...CLIENT,
    subject: {
      scope: 'gateway',
      clientId: null,
      username: null,
      address: null,
      port: null,
      broker: { address: '192.0.2.100', port: 1883 }
    },
    response: 'observe',
    rule: 'jump'
  })
  t.notOk('src_ip' in event || 'src_port' in event)
  t.match(event, {
    dest_ip: '192.0.2.100',
    alert: {
      action: 'allowed',
      signature_id: 101,
      severity: 2,
      signature: 'ARTEMIS gateway: outlier probability rose faster than on benign traffic'
    },
    artemis: { scope: 'gateway', client_id: null }
  })
})

t.test('each rule and scope has its own signature', async t => {
  const seen = new Set<unknown>()
  for (const rule of ['jump', 'level', 'cusum'] as const) {
    for (const scope of ['client', 'gateway'] as const) {
      seen.add(
        (eveAlert({ ...CLIENT, rule, subject: { ...CLIENT.subject, scope } }).alert as { signature_id: number })
          .signature_id
      )
    }
  }
  t.equal(seen.size, 6)
})

t.test("the timestamp has Suricata's format for any fraction", async t => {
  for (const [time, text] of [
    [0, '1970-01-01T00:00:00.000000+0000'],
    [1_700_000_000, '2023-11-14T22:13:20.000000+0000'],
    [1_700_000_000.000001, '2023-11-14T22:13:20.000001+0000'],
    [1_709_164_799.99999976, '2024-02-28T23:59:59.999999+0000']
  ] as const)
    t.equal(eveAlert({ ...CLIENT, time }).timestamp, text)
})

t.test('the action is "allowed" if nothing was blocked', async t => {
  for (const state of ['raised', 'continuing', 'cleared'] as const)
    t.match(eveAlert({ ...CLIENT, state }), { alert: { action: 'allowed' }, artemis: { response: 'ban' } })
})

t.test('the start and end of a ban', async t => {
  const ban = {
    address: '192.0.2.7',
    clientId: null,
    since: 1_700_000_000_000,
    until: 1_700_000_600_000,
    by: 'alert' as const
  }
  t.strictSame(JSON.parse(JSON.stringify(eveBan(ban, ban.since))), {
    timestamp: '2023-11-14T22:13:20.000000+0000',
    event_type: 'ban',
    src_ip: '192.0.2.7',
    proto: 'TCP',
    app_proto: 'mqtt',
    artemis: {
      state: 'begun',
      client_id: null,
      by: 'alert',
      since: '2023-11-14T22:13:20.000000+0000',
      until: '2023-11-14T22:23:20.000000+0000'
    }
  })
  const end = eveBan({ ...ban, address: null, clientId: 'pest' }, ban.until, 'expired')
  t.match(end, {
    timestamp: '2023-11-14T22:23:20.000000+0000',
    artemis: { state: 'ended', reason: 'expired', client_id: 'pest' }
  })
  t.notOk('src_ip' in end)
})
