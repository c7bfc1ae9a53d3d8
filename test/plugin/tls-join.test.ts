// The exact join inside TLS: every frame has the packets that tshark finds in it with the session keys.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type SecureVersion } from 'node:tls'
import { setTimeout as pause } from 'node:timers/promises'
import { MqttClient, type IClientOptions } from 'mqtt'
import t from 'tap'
import { connect as connectPacket, PINGREQ } from '../decode/craft-mqtt.js'
import { endClient } from '../support/clients.js'
import { certificate, decrypt, tlsServer } from '../support/encrypted.js'
import { keepCaptures } from '../support/keeping-tcpdump.js'
import { findProgram, programMissing } from '../support/programs.js'
import { LONG_HOLD_CAPS, startWatchedBroker, type Status, type WatchedBroker } from '../support/watched-broker.js'

const PACE_MS = 25
const missing = programMissing('tcpdump') || programMissing('openssl') || programMissing('tshark')

const KINDS: { version: SecureVersion; ciphers: string }[] = [
  { version: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384' },
  { version: 'TLSv1.3', ciphers: 'TLS_CHACHA20_POLY1305_SHA256' },
  { version: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' },
  { version: 'TLSv1.2', ciphers: 'ECDHE-RSA-CHACHA20-POLY1305' }
]

interface Row {
  frame: number | null
  tcp_len: number | null
  mqtt_header: number | null
  mqtt_len: number | null
}

for (const { version, ciphers } of KINDS) {
  t.test(`${version} ${ciphers}`, { skip: missing }, async t => {
    const directory = t.testdir()
    const { broker, rows, packets, status, capture, keyLog } = await watched(directory, version, ciphers)
    const decrypted = decrypt(capture, keyLog, broker.port)
    const differences = rows
      .map(({ frame, mqtt_header, mqtt_len }) => [
        frame,
        `${mqtt_header} ${mqtt_len}`,
        decrypted.get(frame ?? 0)?.[0] ?? 'null null'
      ])
      .filter(([, live, reference]) => live !== reference)
    t.same(differences.slice(0, 10), [], `${differences.length} of ${rows.length} frames differ`)
    const joined = rows.filter(({ mqtt_header }) => mqtt_header !== null)
    t.equal(joined.length, decrypted.size, 'exactly the frames in which tshark finds MQTT have it')
    t.equal(packets, [...decrypted.values()].flat().length, 'the broker counted the same number of packets')
    t.ok(joined.length > 800, `${joined.length} frames with MQTT, ${packets} packets`)
    t.match(status.join, {
      framesUnjoined: 0,
      framesAfterClose: 0,
      framesFallback: 0,
      packetsAlone: 0,
      packetsLate: 0,
      mismatches: 0,
      connectionsUnplaced: 0
    })
  })
}

t.test('a cipher with variable record length is not joined', { skip: missing }, async t => {
  const { rows, status } = await watched(t.testdir(), 'TLSv1.2', 'ECDHE-RSA-AES128-SHA256')
  t.equal(status.join.connectionsUnplaced, 5)
  t.equal(status.join.framesJoined, 0)
  t.ok(status.join.packetsAlone > 1_000)
  t.same(
    rows.filter(({ frame, mqtt_header }) => frame !== null && mqtt_header !== null),
    [],
    'no frame has packets of the broker'
  )
})

for (const [letter, kind] of [
  ['K', 'with a requested response'],
  ['k', 'without one']
]) {
  t.test(`a key update ${kind} is detected, and no frame is joined incorrectly`, { skip: missing }, async t => {
    const directory = t.testdir()
    writeFileSync(join(directory, 'keys'), '')
    const recordsFile = join(directory, 'live.ndjson')
    const broker = await startWatchedBroker(
      { tap: { target: 'local:lo', snapLength: 0 }, report: { records: recordsFile } },
      tlsServer({ ...certificate(directory), minVersion: 'TLSv1.3' }, join(directory, 'keys'))
    )
    t.teardown(async () => {
      await broker.close()
    })
    await broker.until(({ tap }) => tap.state === 'up', 'the tap')
    const client = spawn(findProgram('openssl'), ['s_client', '-connect', `127.0.0.1:${broker.port}`], {
      stdio: ['pipe', 'ignore', 'ignore']
    })
    client.stdin.on('error', () => {})
    const connected = once(broker.aedes, 'clientReady')
    client.stdin.write(connectPacket())
    await connected
    const ping = async (): Promise<void> => {
      const received = once(broker.aedes, 'ping')
      client.stdin.write(PINGREQ)
      await received
    }
    await ping()
    client.stdin.write(`${letter}\n`)
    // openssl treats the letter as a command only if it reads the line separately.
    await broker.until(({ tap: { frames }, records: { seen } }) => frames > seen, 'frames held back by the key update')
    for (let i = 0; i < 6; i++) await ping()
    const { join: counts } = await broker.until(
      ({ join }) => join.held === 0 && join.packetsAlone > 0,
      'the fallback to packets'
    )
    t.equal(counts.connectionsUnplaced + counts.mismatches > 0, true, JSON.stringify(counts))
    const exited = once(client, 'exit')
    client.kill()
    await exited
    await broker.close()
    const joined = rowsOf(recordsFile).filter(({ frame, mqtt_header }) => frame !== null && mqtt_header !== null)
    t.ok(joined.length >= 4, `${joined.length} frames were joined before`)
    t.same(
      joined.filter(({ tcp_len, mqtt_len }) => tcp_len !== (mqtt_len ?? NaN) + 2 + 22),
      [],
      'each has the length of its packet'
    )
  })
}

function rowsOf(file: string): Row[] {
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Row)
}

/**
 * Runs a broker with TLS clients and returns the results. Repeats the run if the kernel dropped frames, because the
 * results are then ambiguous.
 */
async function watched(directory: string, version: SecureVersion, ciphers: string) {
  for (let attempt = 1; ; attempt++) {
    const run = await watchedOnce(directory, version, ciphers)
    if (run.status.tap.streams?.gapBytes === 0 || attempt === 3) return run
  }
}

async function watchedOnce(directory: string, version: SecureVersion, ciphers: string) {
  const keyLog = join(directory, 'keys')
  writeFileSync(keyLog, '')
  const capture = keepCaptures(directory)
  const recordsFile = join(directory, 'live.ndjson')
  rmSync(recordsFile, { force: true })
  const options = { ...certificate(directory), minVersion: version, maxVersion: version, ciphers }
  const broker = await startWatchedBroker(
    { tap: { target: 'local:lo', snapLength: 0 }, caps: LONG_HOLD_CAPS, report: { records: recordsFile } },
    tlsServer(options, keyLog)
  )
  let status: Status
  let packets = 0
  try {
    await broker.until(({ tap }) => tap.state === 'up', 'the tap')
    packets = await traffic(broker)
    status = await broker.until(
      ({ join, tap, records }) =>
        join.held === 0 && tap.frames > 1_000 && records.seen === tap.frames - join.framesFallback + join.packetsAlone,
      'every frame to become a record'
    )
  } finally {
    await broker.close()
  }
  return { broker, rows: rowsOf(recordsFile), packets, status, capture, keyLog }
}

/**
 * Sends packets over many records, many records in one segment and many packets in one record. Returns the number of
 * packets.
 */
async function traffic(broker: WatchedBroker): Promise<number> {
  // The CONNECT of each client is sent before its listeners are added.
  let packets = 5
  const client = async (options: IClientOptions): Promise<MqttClient> => {
    const client = new MqttClient(
      () => connect({ port: broker.port, host: '127.0.0.1', rejectUnauthorized: false }).setNoDelay(),
      { reconnectPeriod: 0, ...options }
    )
    client.on('packetsend', () => packets++)
    client.on('packetreceive', () => packets++)
    client.on('error', () => {})
    await new Promise<void>(resolve => {
      client.once('connect', () => {
        resolve()
      })
    })
    return client
  }
  const subscriber = await client({ clientId: 'subscriber' })
  await subscriber.subscribeAsync('#')
  const clients = await Promise.all(
    [4, 5, 4, 5].map(async (version, i) => await client({ clientId: `client ${i}`, protocolVersion: version as 4 | 5 }))
  )
  for (let round = 0; round < 30; round++) {
    // Whole frames fill the kernel's buffer fast, so the pause lets the tap read it.
    await pause(PACE_MS)
    await Promise.all(
      clients.flatMap((one, i) =>
        Array.from({ length: 8 }, async (_, n) => {
          if (round === 10 && n === 0) one.stream.cork()
          const length = ((round * 31 + n * 7) % 400) + (round === n && i === n % 4 ? 70_000 : 0)
          const published = one.publishAsync(`topic/${i}/${n}`, Buffer.alloc(length, 97 + n), {
            qos: (n % 3) as 0 | 1 | 2
          })
          if (round === 10 && n === 7) one.stream.uncork()
          await published
        })
      )
    )
  }
  await Promise.all([...clients, subscriber].map(endClient))
  return packets
}
