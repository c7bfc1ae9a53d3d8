// Asks a running broker over its control topics.

import { readFileSync } from 'node:fs'
import { OperatorError } from '../../src/errors.js'
import { CONTROL_TOPICS } from '../../src/index.js'
import { readSettings, type Flags } from '../config/settings.js'
import type { Settings } from '../config/schema.js'
import { connectMqtt, type TlsFiles } from '../client/mqtt-client.js'
import { printable } from '../terminal/printable.js'

/** Where the broker is, as typed. */
export interface ControlFlags extends Flags {
  url?: string
  cafile?: string
}

const ANSWER_LIMIT_MS = 10_000
const ANY_ADDRESS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/**
 * Sends one command and returns the data of its answer.
 * @throws OperatorError `control-refused` with what the broker says, `control-no-answer`, or as `connectMqtt`
 */
export async function askBroker(flags: ControlFlags, command: object): Promise<unknown> {
  const { url, tls } = brokerOf(flags)
  const client = await connectMqtt(url, { timeoutMs: ANSWER_LIMIT_MS, ...(tls !== undefined && { tls }) })
  try {
    await client.publish(CONTROL_TOPICS.request, JSON.stringify({ commands: [command] }), { qos: 1 })
    const deadline = performance.now() + ANSWER_LIMIT_MS
    for (let left = ANSWER_LIMIT_MS; left > 0; left = deadline - performance.now()) {
      const message = await client.next(left)
      if (message?.topic === CONTROL_TOPICS.response) return dataOf(message.payload.toString())
    }
    throw new OperatorError(
      'control-no-answer',
      'The broker did not answer.',
      'It is no Artemis, or its access rules keep this user from $CONTROL/artemis/v1.'
    )
  } finally {
    await client.close()
  }
}

function dataOf(text: string): unknown {
  const { responses } = JSON.parse(text) as { responses: { data?: unknown; error?: string; remedy?: string }[] }
  const [{ data, error, remedy }] = responses
  // The broker may be anybody's.
  if (error !== undefined)
    throw new OperatorError('control-refused', sentence(error), remedy === undefined ? undefined : sentence(remedy))
  return data
}

function sentence(text: string): string {
  const safe = printable(text)
  return /[.!?]$/.test(safe) ? safe : `${safe}.`
}

/** The broker that is named, else the one that the settings make. */
function brokerOf(flags: ControlFlags): { url: string; tls: TlsFiles | undefined } {
  const named = flags.url ?? process.env.ARTEMIS_URL
  const ca = flags.cafile === undefined ? undefined : readCertificates(flags.cafile)
  if (named !== undefined) return { url: named, tls: ca === undefined ? undefined : { ca } }
  const { settings } = readSettings(flags)
  const listener = reachable(settings)
  const host = ANY_ADDRESS[listener.host] ?? listener.host
  const url = `${listener.tls === null ? 'mqtt' : 'mqtts'}://${host.includes(':') ? `[${host}]` : host}:${listener.port}`
  return { url, tls: ca === undefined ? undefined : { ca } }
}

/** Without TLS for preference: its certificate may not be one for this machine's own name. */
function reachable({ listeners }: Settings): Settings['listeners'][number] {
  const candidates = listeners.filter(({ protocol, proxy }) => protocol === 'mqtt' && proxy.length === 0)
  const found = candidates.find(({ tls }) => tls === null) ?? candidates.at(0)
  if (found === undefined)
    throw new OperatorError(
      'control-url',
      'No listener of the settings takes MQTT over TCP or TLS.',
      'Name one: --url mqtt://host:port.'
    )
  return found
}

function readCertificates(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new OperatorError(
      'control-cafile',
      `--cafile ${printable(file)} cannot be read (${(cause as NodeJS.ErrnoException).code}).`,
      'Check its name and permissions.',
      { cause }
    )
  }
}
