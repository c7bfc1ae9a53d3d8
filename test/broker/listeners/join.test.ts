// The exact join on the broker's own listeners: TCP, dual-stack, WebSocket, TLS, and each behind a proxy.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import tls from 'node:tls'
import { MqttClient } from 'mqtt'
import t, { type Test } from 'tap'
import { keepCaptures } from '../../support/keeping-tcpdump.js'
import { endClient } from '../../support/clients.js'
import { programMissing } from '../../support/programs.js'
import { waitUntil } from '../../support/wait-until.js'
import { connect, heard } from '../mqtt-client.js'
import { makeCertificates } from './certificates.js'
import { startListening, type Listening } from './listening.js'
import { binaryHeader, connectProxied, connectProxiedWeb, lineHeader, socketWith } from './proxied.js'
import { UNKNOWN, unwrapCapture } from './unwrapped.js'

const missing = programMissing('tcpdump') || programMissing('openssl')

interface Row {
  frame: number | null
  tcp_src_port: number
  tcp_dst_port: number
  tcp_len: number | null
  mqtt_header: number | null
  mqtt_len: number | null
}

interface Status {
  tap: { state: string; streams?: { gapBytes: number } }
  join: Record<string, number>
}

/** The status as it comes over MQTT. */
async function statuses(test: Test, broker: Listening): Promise<() => Status | undefined> {
  const client = await connect(test, broker.url, { clientId: 'status' })
  let latest: Status | undefined
  client.on('message', (_topic, payload) => {
    latest = JSON.parse(payload.toString()) as Status
  })
  await client.subscribeAsync('$SYS/broker/artemis/status')
  return () => latest
}

async function traffic(clients: readonly MqttClient[]): Promise<void> {
  await clients[0].subscribeAsync('#', { qos: 1 })
  for (let round = 0; round < 12; round++) {
    await Promise.all(
      clients.flatMap((one, i) =>
        Array.from({ length: 6 }, async (_, n) => {
          const length = ((round * 31 + n * 7) % 400) + (round === n && i === n % 4 ? 70_000 : 0)
          await one.publishAsync(`topic/${i}/${n}`, Buffer.alloc(length, 97 + n), { qos: (n % 3) as 0 | 1 | 2 })
        })
      )
    )
  }
}

function tlsClient(port: number, header?: Buffer): MqttClient {
  const client = new MqttClient(
    () => {
      const secured = tls.connect({
        ...(header === undefined ? { port, host: '127.0.0.1' } : { socket: socketWith(port, header) }),
        rejectUnauthorized: false
      })
      secured.setNoDelay()
      return secured
    },
    { reconnectPeriod: 0 }
  )
  // At its end the broker may be the first to close, and what it has not read is then a reset.
  client.on('error', () => {})
  return client
}

t.test('every frame carries what its bytes hold', { skip: missing }, async t => {
  const folder = t.testdir({})
  makeCertificates(folder, ['broker'])
  const capture = keepCaptures(folder)
  const encrypted = 'tls: { cert: broker.pem, key: broker.key }'
  const proxied = 'proxy: [ 127.0.0.0/8 ]'
  const broker = await startListening(
    t,
    folder,
    [
      ['host: "::"'],
      ['protocol: websockets'],
      [proxied],
      ['protocol: websockets', proxied],
      [encrypted],
      [encrypted, proxied],
      ['protocol: websockets', encrypted]
      // A machine that does much else gives the broker no time to read for a second or more.
    ],
    ['tap: { target: "local:lo", snapLength: 64KiB }', 'caps: { holdTime: 30s }', 'report: { records: records.ndjson }']
  )
  const [plain, web, behind, webBehind, secure, secureBehind, webSecure] = broker.ports
  const latest = await statuses(t, broker)
  await waitUntil('the tap', () => latest()?.tap.state === 'up')
  const clients = [
    await connect(t, `mqtt://127.0.0.1:${plain}`),
    await connect(t, `mqtt://[::1]:${plain}`),
    await connect(t, `ws://127.0.0.1:${web}`),
    await connectProxied(t, behind, lineHeader('192.0.2.7')),
    await connectProxied(t, behind, binaryHeader('192.0.2.8'), { protocolVersion: 5 }),
    await connectProxied(t, behind, lineHeader('2001:db8::7')),
    await connectProxiedWeb(t, webBehind, lineHeader('192.0.2.9')),
    await connect(t, `wss://127.0.0.1:${webSecure}`, { rejectUnauthorized: false })
  ]
  // One after the other: who connects while nobody listens is waited for in vain.
  for (const [port, header] of [[secure], [secureBehind, binaryHeader('192.0.2.10')]] as const) {
    const client = tlsClient(port, header)
    await heard(client, 'connect')
    clients.push(client)
  }
  await traffic(clients)
  await Promise.all(clients.map(endClient))
  await waitUntil('all frames to be joined', () => latest()?.join.held === 0)
  const status = latest()
  t.match(await broker.stop(), { code: 0 })

  const rows = readFileSync(path.join(folder, 'records.ndjson'), 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Row)
  const decoded = await unwrapCapture(
    capture,
    new Map([
      [plain, { proxy: false, webSocket: false }],
      [web, { proxy: false, webSocket: true }],
      [behind, { proxy: true, webSocket: false }],
      [webBehind, { proxy: true, webSocket: true }]
    ])
  )
  for (const [name, port, least] of [
    ['plain', plain, 200],
    ['WebSocket', web, 60],
    ['behind a proxy', behind, 150],
    ['WebSocket behind a proxy', webBehind, 60]
  ] as const) {
    const here = rows.filter(
      ({ frame, tcp_src_port: from, tcp_dst_port: to }) => frame !== null && [from, to].includes(port)
    )
    const differences = here
      .map(({ frame, mqtt_header, mqtt_len }) => [
        frame,
        `${mqtt_header} ${mqtt_len}`,
        decoded.get(frame ?? 0)?.[0] ?? 'null null'
      ])
      .filter(([, live, reference]) => live !== reference && reference !== UNKNOWN)
    t.same(differences.slice(0, 5), [], `${name}: ${differences.length} of ${here.length} frames differ`)
    t.ok(here.filter(({ mqtt_header }) => mqtt_header !== null).length > least, `${name}: frames with MQTT`)
  }
  for (const [name, port] of [
    ['TLS', secure],
    ['TLS behind a proxy', secureBehind]
  ] as const) {
    const joined = rows.filter(
      ({ frame, tcp_dst_port: to, mqtt_header }) => frame !== null && to === port && mqtt_header !== null
    )
    t.ok(joined.length > 20, `${name}: ${joined.length} frames with MQTT from the client`)
    // One write of the client is one record is one packet: TLS 1.3 adds 22 bytes to each.
    const whole = joined.filter(
      ({ mqtt_len, tcp_len }) => tcp_len === (mqtt_len ?? 0) + 2 + Number((mqtt_len ?? 0) > 127) + 22
    )
    t.ok(whole.length > 12, `${name}: ${whole.length} of them as long as their packet makes them`)
  }
  t.match(
    status?.join,
    { framesUnjoined: 0, packetsLate: 0, mismatches: 0, packetsUnknown: 0 },
    JSON.stringify(status?.join)
  )
})
