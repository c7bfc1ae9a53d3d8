// Sends commands to a running broker over its control topics.

import { readFileSync } from 'node:fs'
import { OperatorError } from '../../src/errors.js'
import { CONTROL_TOPICS } from '../../src/index.js'
import { readSettings, type Flags } from '../config/settings.js'
import type { Settings } from '../config/schema.js'
import { connectMqtt, type TlsFiles } from '../client/mqtt-client.js'
import { printable } from '../terminal/printable.js'

/** Options that select the broker. */
export interface ControlFlags extends Flags {
  url?: string
  cafile?: string
}

const RESPONSE_TIMEOUT_MS = 10_000
const ANY_ADDRESS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/**
 * Sends a command and returns the data of its response.
 * @throws OperatorError `control-refused` with the error of the broker, `control-no-answer`, or as `connectMqtt`
 */
export async function sendCommand(flags: ControlFlags, command: object): Promise<unknown> {
  const { url, tls } = brokerOf(flags)
  const client = await connectMqtt(url, { timeoutMs: RESPONSE_TIMEOUT_MS, ...(tls !== undefined && { tls }) })
  try {
    await client.publish(CONTROL_TOPICS.request, JSON.stringify({ commands: [command] }), { qos: 1 })
    const deadline = performance.now() + RESPONSE_TIMEOUT_MS
    for (let left = RESPONSE_TIMEOUT_MS; left > 0; left = deadline - performance.now()) {
      const message = await client.next(left)
      if (message?.topic === CONTROL_TOPICS.response) return dataOf(message.payload.toString())
    }
    throw new OperatorError(
      'control-no-answer',
      'The broker did not answer.',
      'Check that it is Artemis, and that its access rules allow this user to write to $CONTROL/artemis/v1.'
    )
  } finally {
    await client.close()
  }
}

function dataOf(text: string): unknown {
  const { responses } = JSON.parse(text) as { responses: { data?: unknown; error?: string; remedy?: string }[] }
  const [{ data, error, remedy }] = responses
  // Not trusted: any broker may have sent the text.
  if (error !== undefined)
    throw new OperatorError('control-refused', sentence(error), remedy === undefined ? undefined : sentence(remedy))
  return data
}

function sentence(text: string): string {
  const safe = printable(text)
  return /[.!?]$/.test(safe) ? safe : `${safe}.`
}

/** Returns the broker of `--url` or ARTEMIS_URL, otherwise the one of the settings. */
function brokerOf(flags: ControlFlags): { url: string; tls: TlsFiles | undefined } {
  const given = flags.url ?? process.env.ARTEMIS_URL
  const ca = flags.cafile === undefined ? undefined : readCertificates(flags.cafile)
  if (given !== undefined) return { url: given, tls: ca === undefined ? undefined : { ca } }
  const { settings } = readSettings(flags)
  const listener = pickListener(settings)
  const host = ANY_ADDRESS[listener.host] ?? listener.host
  const url = `${listener.tls === null ? 'mqtt' : 'mqtts'}://${host.includes(':') ? `[${host}]` : host}:${listener.port}`
  return { url, tls: ca === undefined ? undefined : { ca } }
}

/** Returns a listener to connect to, preferably without TLS: its certificate may not cover the name used here. */
function pickListener({ listeners }: Settings): Settings['listeners'][number] {
  const candidates = listeners.filter(({ protocol, proxy }) => protocol === 'mqtt' && proxy.length === 0)
  const found = candidates.find(({ tls }) => tls === null) ?? candidates.at(0)
  if (found === undefined)
    throw new OperatorError(
      'control-url',
      'No listener in the settings accepts MQTT over TCP or TLS.',
      'Specify the address: --url mqtt://host:port.'
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
