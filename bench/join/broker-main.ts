// The measured broker in its own process: the core with the plug-in, configured by one JSON argument.

import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pino } from 'pino'
import { readSettings } from '../../broker/config/settings.js'
import { openBroker } from '../../broker/open-broker.js'
import { artemis } from '../../src/index.js'
import { listener, type Carrier } from './carriers.js'

/**
 * Configuration of the broker. It answers each line on standard input with its status, and exits at the end of the
 * input.
 */
export interface BrokerConfig {
  carrier: Carrier
  port: number
  /** Tap target, such as `local:DEVICE`. */
  tap: string
  snapLength: number
  records: string
  /** Files of the TLS listener, and the key log to write. */
  tls?: { key: string; cert: string; keyLog: string }
}

const { carrier, port, tap, snapLength, records, tls } = JSON.parse(process.argv[2]) as BrokerConfig

const folder = mkdtempSync(join(tmpdir(), 'artemis-join-broker-'))
const { settings } = readSettings({}, folder)
const limits = {
  ...settings.limits,
  messagesPerSecond: null,
  bytesPerSecond: null,
  queuedMessages: null,
  queuedBytes: null,
  topicsPerClient: null,
  inflightMessages: 1_000
}
const { broker: aedes } = await openBroker(
  { ...settings, persistence: false, data: folder, limits },
  pino({ level: 'silent' })
)
const identity =
  tls === undefined
    ? undefined
    : {
        key: readFileSync(tls.key, 'utf8'),
        cert: readFileSync(tls.cert, 'utf8'),
        onKeys: (line: Buffer) => {
          appendFileSync(tls.keyLog, line)
        }
      }
const server = listener(carrier, identity, (stream, request) => {
  stream.on('error', () => {})
  aedes.handle(stream, request)
})
aedes.on('clientError', () => {})
aedes.on('connectionError', () => {})
const ids = artemis(aedes, {
  tap: { target: tap, snapLength },
  ports: [port],
  report: { records },
  logger: { info: () => {}, warn: log, error: log }
})
function log(details: object, message: string): void {
  process.stderr.write(`broker: ${message} ${JSON.stringify(details)}\n`)
}
server.listen(port, '::')
await once(server, 'listening')
const send = (message: object): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}
send({ port: (server.address() as AddressInfo).port })
const input = createInterface({ input: process.stdin })
input.on('line', () => {
  send(ids.status())
})
await once(input, 'close')
await ids.close()
send(ids.status())
rmSync(folder, { recursive: true, force: true })
process.exit()
