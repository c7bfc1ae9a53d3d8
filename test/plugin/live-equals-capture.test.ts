// The records of a live run equal those extracted from a full capture of the same run in all columns, including context
// columns, even if the tap captures only headers.

import { chmodSync, closeSync, createReadStream, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { FEATURES } from '../../src/features/schema.js'
import { FULL_NAMES, recordWriter } from '../../src/features/record-writer.js'
import { CaptureRecords } from '../../src/join/capture-records.js'
import { connectClient, endClient } from '../support/clients.js'
import { findProgram, programMissing } from '../support/programs.js'
import { waitUntil } from '../support/wait-until.js'
import { LONG_HOLD_CAPS, startWatchedBroker } from '../support/watched-broker.js'

const PAYLOAD_CAP_BYTES = 1_024
const TAIL_BYTES = 65_536

/**
 * A tcpdump that captures and keeps whole frames but outputs only the requested length. Two captures of one run would
 * differ: the kernel timestamps each frame separately for every capturing socket, some microseconds apart.
 */
const KEEPING_TCPDUMP = `#!/bin/sh
directory=$(dirname "$0")
mkfifo "$directory/pipe"
for argument do
  shift
  case $option in
    -s) asked=$argument; argument=65600 ;;
    -B) argument=65536 ;;
  esac
  option=$argument
  set -- "$@" "$argument"
done
tee "$directory/kept.pcap" <"$directory/pipe" | ${process.execPath} ${fileURLToPath(new URL('../support/cut-capture.js', import.meta.url))} "$asked" &
exec ${findProgram('tcpdump')} "$@" >"$directory/pipe"
`

type Row = Record<string, unknown>

for (const { name, snapLength } of [
  { name: 'whole frames', snapLength: 0 },
  { name: 'headers only', snapLength: 86 }
]) {
  t.test(name, { skip: programMissing('tcpdump') }, async t => {
    await compare(t, snapLength)
  })
}

async function compare(t: Test, snapLength: number): Promise<void> {
  const directory = t.testdir({ tcpdump: KEEPING_TCPDUMP })
  chmodSync(join(directory, 'tcpdump'), 0o755)
  process.env.PATH = directory + delimiter + String(process.env.PATH)
  const recordsFile = join(directory, 'live.ndjson')
  const broker = await startWatchedBroker({
    tap: { target: 'local:lo', snapLength },
    payloadCapBytes: PAYLOAD_CAP_BYTES,
    caps: LONG_HOLD_CAPS,
    detector: { features: 'behaviour' },
    report: { records: recordsFile }
  })
  t.teardown(async () => {
    await broker.close()
  })
  await broker.until(({ tap }) => tap.state === 'up', 'the tap')
  const kept = join(directory, 'kept.pcap')
  await trafficOfAllKinds(broker.port, text => tailOf(kept).includes(text))
  const { tap } = await broker.until(
    ({ join: { held, packetsAlone }, tap: { frames }, records }) =>
      held === 0 && frames > 2_000 && records.seen === frames + packetsAlone,
    'every frame to become a record'
  )
  t.equal(tap.streams?.gapBytes, 0, 'the kernel dropped no frame: after a gap, a capture alone is ambiguous')
  await broker.close()

  const live = rowsOf(readFileSync(recordsFile, 'utf8'))
  const extracted = await extract(kept, broker.port)
  t.equal(live.length, extracted.length, 'the same number of records')
  const columns = ['frame', 'time', ...FEATURES.map(({ name }) => name), ...FULL_NAMES]
  const differences = extracted.flatMap((row, i) =>
    columns
      .filter(column => row[column] !== live[i]?.[column])
      .map(
        column =>
          `frame ${String(row.frame)} ${column}: ${String(row[column])} extracted, ${String(live[i]?.[column])} live`
      )
  )
  t.same(differences.slice(0, 10), [], 'no column of any frame differs')
  const withMqtt = live.filter(row => row.mqtt_header !== null)
  const types = new Set(withMqtt.map(row => row.mqtt_msg_type))
  t.ok(withMqtt.length > 1_000, `frames with MQTT columns: ${withMqtt.length} of ${live.length}`)
  t.strictSame(
    [...types].sort((a, b) => Number(a) - Number(b)),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
    'every control packet type except AUTH occurs'
  )
}

/** Returns the end of a file. */
function tailOf(file: string): string {
  const descriptor = openSync(file, 'r')
  try {
    const { size } = fstatSync(descriptor)
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES))
    readSync(descriptor, tail, 0, tail.length, size - tail.length)
    return tail.toString('latin1')
  } finally {
    closeSync(descriptor)
  }
}

/**
 * All versions and QoS levels, packets over many segments and many packets in one, retained messages, wills, pings.
 *
 * @param isCaptured whether the end of the capture contains a text. Whole frames fill the kernel's buffer fast, so each
 *   round waits until the previous one was read from it
 */
async function trafficOfAllKinds(port: number, isCaptured: (text: string) => boolean): Promise<void> {
  const subscriber = await connectClient({ port, from: '127.0.5.1' }, { clientId: 'subscriber', keepalive: 1 })
  await subscriber.subscribeAsync('#', { qos: 2 })
  const clients = await Promise.all(
    [3, 4, 5, 4, 5].map(
      async (protocolVersion, i) =>
        await connectClient(
          { port, from: `127.0.6.${i + 1}` },
          {
            protocolVersion: protocolVersion as 3 | 4 | 5,
            ...(protocolVersion === 3 && { protocolId: 'MQIsdp' }),
            clientId: `client ${i}`,
            will: { topic: `will/${i}`, payload: Buffer.from('gone'), qos: 1, retain: false }
          }
        )
    )
  )
  for (let round = 0; round < 40; round++) {
    await Promise.all(
      clients.flatMap((client, i) =>
        Array.from({ length: 12 }, async (_, n) => {
          const length = ((round * 31 + n * 7) % 400) + (round === n && i === n % 5 ? 70_000 : 0)
          await client.publishAsync(`topic/${i}/${n}`, Buffer.alloc(length, 97 + n), {
            qos: (n % 3) as 0 | 1 | 2,
            retain: n === 0,
            ...(client.options.protocolVersion === 5 && {
              properties: { messageExpiryInterval: 60, userProperties: { round: String(round) } }
            })
          })
        })
      )
    )
    const mark = `end of round ${round}`
    await clients[0].publishAsync('mark', mark, { qos: 1 })
    await waitUntil(mark, () => isCaptured(mark))
  }
  await subscriber.unsubscribeAsync('#')
  await new Promise<void>(resolve => {
    subscriber.on('packetreceive', ({ cmd }) => {
      if (cmd === 'pingresp') resolve()
    })
  })
  clients[0].stream.destroy()
  await Promise.all([subscriber, ...clients.slice(1)].map(endClient))
}

async function extract(path: string, port: number): Promise<Row[]> {
  const writer = recordWriter('ndjson', false, 'full')
  let text = ''
  const records = new CaptureRecords(
    record => {
      text += writer.line(record, '')
    },
    { ports: [port], payloadCapBytes: PAYLOAD_CAP_BYTES }
  )
  for await (const chunk of createReadStream(path)) records.push(chunk as Buffer)
  records.end()
  return rowsOf(text)
}

function rowsOf(ndjson: string): Row[] {
  return ndjson
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Row)
}
