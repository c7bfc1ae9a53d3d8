// TLS records that arrive in pieces, as through a slow relay: reads of the broker end within records.

import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect as connectTcp, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { connect as connectTls, type SecureVersion } from 'node:tls'
import t from 'tap'
import { connect, PINGREQ, publish } from '../decode/craft-mqtt.js'
import { certificate, decrypt, tlsServer } from '../support/encrypted.js'
import { keepCaptures } from '../support/keeping-tcpdump.js'
import { programMissing } from '../support/programs.js'
import { waitUntil } from '../support/wait-until.js'
import { LONG_HOLD_CAPS, startWatchedBroker } from '../support/watched-broker.js'

const HEADER_BYTES = 5
/** Packets that a client sends first, each in its own record. */
const SENT = [connect(), publish('a', 'hello'), publish('b', 'x'.repeat(700)), PINGREQ]
const LATER = 3

interface Row {
  frame: number | null
  mqtt_header: number | null
  mqtt_len: number | null
}

/** Returns the end of each complete TLS record (RFC 8446, section 5.1). */
function recordEnds(bytes: Buffer): number[] {
  const ends: number[] = []
  for (
    let at = 0;
    at + HEADER_BYTES <= bytes.length && at + HEADER_BYTES + bytes.readUInt16BE(at + 3) <= bytes.length;
  ) {
    at += HEADER_BYTES + bytes.readUInt16BE(at + 3)
    ends.push(at)
  }
  return ends
}

/** Transport of a TLS client: forwards writes to a socket, or holds them back. */
class HoldableTransport extends Duplex {
  held = Buffer.alloc(0)
  isOpen = true

  constructor(readonly socket: Socket) {
    super()
    socket.on('data', (chunk: Buffer) => {
      this.push(chunk)
    })
    socket.on('end', () => {
      this.push(null)
    })
    socket.on('error', () => {})
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    if (this.isOpen) this.socket.write(chunk)
    else this.held = Buffer.concat([this.held, chunk])
    callback()
  }

  override _final(callback: () => void): void {
    this.socket.end()
    callback()
  }
}

/**
 * Returns the offsets at which to split the bytes after the handshake. `ends` are the ends of the records of
 * {@link SENT}; 0 is the start of the first.
 */
type Cuts = (ends: readonly number[]) => number[]

const CUTS: Record<string, Cuts> = {
  'within the first header': () => [3],
  'within the first record': ([first]) => [first >> 1],
  'at the end of the first record': ([first]) => [first],
  'the first record and a part of the next': ([first]) => [first + 10],
  'twice within a record, then the same bytes of the next': ([first]) => [10, first + 10],
  'the same bytes of each record': ([first, second, third]) => [12, first + 12, second + 12, third + 12],
  'all but the last byte': ends => [(ends.at(-1) as number) - 1],
  'single bytes': ([first, second]) => Array.from({ length: second - first + 40 }, (_, i) => i + 1),
  'at once': () => []
}

/**
 * Runs one connection: the handshake, then the packets in pieces, each after the broker has read the previous one,
 * then pings.
 */
async function converse(
  port: number,
  version: SecureVersion,
  brokerEnd: () => Socket | undefined,
  cutAtHandshake: boolean,
  cuts: Cuts
): Promise<void> {
  const socket = connectTcp({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  const transport = new HoldableTransport(socket)
  const client = connectTls({ socket: transport, rejectUnauthorized: false, minVersion: version, maxVersion: version })
  client.on('error', () => {})
  let received = Buffer.alloc(0)
  client.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
  })
  // In TLS 1.3 this holds back the client's last handshake message together with the packets.
  if (cutAtHandshake) {
    await waitUntil('the ClientHello', () => socket.bytesWritten > 0)
    transport.isOpen = false
  }
  await once(client, 'secureConnect')
  await waitUntil('the broker to accept the connection', () => brokerEnd() !== undefined)
  const far = brokerEnd() as Socket
  // Otherwise wait until the broker has read the handshake, and nothing else.
  if (!cutAtHandshake) await waitUntil('the broker to read the handshake', () => far.bytesRead >= socket.bytesWritten)
  transport.isOpen = false
  for (const packet of SENT)
    await new Promise<void>(resolve => {
      client.write(packet, () => {
        resolve()
      })
    })
  const { held } = transport
  const ends = recordEnds(held)
  const begin = ends.at(-SENT.length - 1) ?? 0
  let sent = socket.bytesWritten
  let from = 0
  for (const to of [...cuts(ends.slice(-SENT.length).map(end => end - begin)).map(cut => begin + cut), held.length]) {
    socket.write(held.subarray(from, to))
    sent += to - from
    from = to
    await waitUntil('the broker to read the bytes', () => far.bytesRead >= sent || far.destroyed)
  }
  transport.isOpen = true
  const pongs = (): number => received.toString('latin1').split('\xd0\x00').length - 1
  for (let i = 0; i <= LATER; i++) {
    await waitUntil('a PINGRESP', () => pongs() > i)
    if (i < LATER) client.write(PINGREQ)
  }
  client.end()
  await once(socket, 'close')
}

for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
  t.test(
    version,
    { skip: programMissing('tcpdump') || programMissing('openssl') || programMissing('tshark') },
    async t => {
      const directory = t.testdir()
      const keyLog = join(directory, 'keys')
      writeFileSync(keyLog, '')
      const capture = keepCaptures(directory)
      const recordsFile = join(directory, 'live.ndjson')
      const ends: Socket[] = []
      const makeServer = tlsServer({ ...certificate(directory), minVersion: version, maxVersion: version }, keyLog)
      const broker = await startWatchedBroker(
        { tap: { target: 'local:lo', snapLength: 0 }, caps: LONG_HOLD_CAPS, report: { records: recordsFile } },
        (handle): Server => {
          const server = makeServer(handle)
          server.on('connection', (socket: Socket) => {
            ends.push(socket)
          })
          return server
        }
      )
      t.teardown(async () => {
        await broker.close()
      })
      await broker.until(({ tap }) => tap.state === 'up', 'the tap')
      let connections = 0
      for (const cutAtHandshake of version === 'TLSv1.3' ? [false, true] : [false]) {
        for (const cuts of Object.values(CUTS)) {
          await converse(broker.port, version, () => ends[connections], cutAtHandshake, cuts)
          connections++
        }
      }
      const packets = connections * (SENT.length + LATER)
      const { join: counts } = await broker.until(
        ({ join: { held }, tap: { frames }, records: { seen }, join: { framesFallback, packetsAlone } }) =>
          held === 0 && frames > packets && seen === frames - framesFallback + packetsAlone,
        'every frame to become a record'
      )
      await broker.close()
      const rows = readFileSync(recordsFile, 'utf8')
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line) as Row)
        .filter(({ frame }) => frame !== null)
      const decrypted = decrypt(capture, keyLog, broker.port)
      const wrong = rows.filter(
        ({ frame, mqtt_header, mqtt_len }) =>
          mqtt_header !== null && `${mqtt_header} ${mqtt_len}` !== decrypted.get(frame ?? 0)?.[0]
      )
      t.same(
        wrong.map(({ frame, mqtt_header, mqtt_len }) => [frame, mqtt_header, mqtt_len, decrypted.get(frame ?? 0)]),
        [],
        'no frame has packets of another frame'
      )
      const joined = rows.filter(({ mqtt_header }) => mqtt_header !== null).length
      t.ok(
        joined >= decrypted.size - counts.framesFallback,
        `${joined} of ${decrypted.size} frames with MQTT are joined: ${JSON.stringify(counts)}`
      )
      // If the start of a record arrived with the handshake, and as many bytes of the next record with that record,
      // the length of the handshake is guessed incorrectly, which is detected.
      const ambiguous = version === 'TLSv1.3' ? connections / 2 : 0
      t.ok(
        counts.connectionsUnplaced <= ambiguous,
        `${counts.connectionsUnplaced} of ${connections} connections are not joined`
      )
      t.equal(counts.mismatches + counts.framesUnjoined, 0)
    }
  )
}
