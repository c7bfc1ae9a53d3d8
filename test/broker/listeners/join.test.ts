// The join on the listeners of the broker: TCP, dual-stack, WebSocket, TLS, with and without a proxy.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import tls from 'node:tls'
import { MqttClient } from 'mqtt'
import t, { type Test } from 'tap'
import { keepCaptures } from '../../support/keeping-tcpdump.js'
import { endClient } from '../../support/clients.js'
import { programMissing } from '../../support/programs.js'
import { waitUntil } from '../../support/wait-until.js'
import { connect, nextEvent } from '../mqtt-client.js'
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
  tap: { state: string; frames: number; streams?: { gapBytes: number } }
  join: Record<string, number>
}

/** Subscribes to the status; returns a function for the latest one. */
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
      clients.flatMap((client, i) =>
        Array.from({ length: 6 }, async (_, n) => {
          const length = ((round * 31 + n * 7) % 400) + (round === n && i === n % 4 ? 70_000 : 0)
          await client.publishAsync(`topic/${i}/${n}`, Buffer.alloc(length, 97 + n), { qos: (n % 3) as 0 | 1 | 2 })
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
  // The broker may close first with unread data, which resets the connection.
  client.on('error', () => {})
  return client
}

t.test('every frame is joined with the MQTT packets in it', { skip: missing }, async t => {
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
    ],
    // A long hold time, because a busy machine may keep the broker from reading for a second or more.
    ['tap: { target: "local:lo", snapLength: 64KiB }', 'caps: { holdTime: 30s }', 'report: { records: records.ndjson }']
  )
  const [plain, web, proxiedPlain, proxiedWeb, secure, proxiedSecure, webSecure] = broker.ports
  const latest = await statuses(t, broker)
  await waitUntil('the tap', () => latest()?.tap.state === 'up')
  const clients = [
    await connect(t, `mqtt://127.0.0.1:${plain}`),
    await connect(t, `mqtt://[::1]:${plain}`),
    await connect(t, `ws://127.0.0.1:${web}`),
    await connectProxied(t, proxiedPlain, lineHeader('192.0.2.7')),
    await connectProxied(t, proxiedPlain, binaryHeader('192.0.2.8'), { protocolVersion: 5 }),
    await connectProxied(t, proxiedPlain, lineHeader('2001:db8::7')),
    await connectProxiedWeb(t, proxiedWeb, lineHeader('192.0.2.9')),
    await connect(t, `wss://127.0.0.1:${webSecure}`, { rejectUnauthorized: false })
  ]
  // In sequence: a connect event without a listener would be missed.
  for (const [port, header] of [[secure], [proxiedSecure, binaryHeader('192.0.2.10')]] as const) {
    const client = tlsClient(port, header)
    await nextEvent(client, 'connect')
    clients.push(client)
  }
  await traffic(clients)
  await Promise.all(clients.map(endClient))
  let previous = latest()
  await waitUntil('all frames to be joined', () => {
    const status = latest()
    if (status === undefined || status === previous) return false
    const added = status.tap.frames - (previous?.tap.frames ?? 0)
    previous = status
    // At the end, only the status itself adds frames.
    return status.tap.frames > 1_000 && added < 10 && status.join.held === 0
  })
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
      [proxiedPlain, { proxy: true, webSocket: false }],
      [proxiedWeb, { proxy: true, webSocket: true }]
    ])
  )
  for (const [name, port, least] of [
    ['plain', plain, 200],
    ['WebSocket', web, 60],
    ['behind a proxy', proxiedPlain, 150],
    ['WebSocket behind a proxy', proxiedWeb, 60]
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
    ['TLS behind a proxy', proxiedSecure]
  ] as const) {
    const joined = rows.filter(
      ({ frame, tcp_dst_port: to, mqtt_header }) => frame !== null && to === port && mqtt_header !== null
    )
    t.ok(joined.length > 20, `${name}: ${joined.length} frames with MQTT from the client`)
    // Each packet is one write and one TLS record, to which TLS 1.3 adds 22 bytes.
    const exact = joined.filter(
      ({ mqtt_len, tcp_len }) => tcp_len === (mqtt_len ?? 0) + 2 + Number((mqtt_len ?? 0) > 127) + 22
    )
    t.ok(exact.length > 12, `${name}: ${exact.length} of them have the length of their packet`)
  }
  t.match(
    status?.join,
    { framesUnjoined: 0, packetsLate: 0, mismatches: 0, packetsUnknown: 0 },
    JSON.stringify(status?.join)
  )
})
