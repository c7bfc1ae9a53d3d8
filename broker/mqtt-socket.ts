// The way to a broker: a socket, plain or TLS, that is open within a time.

import { once } from 'node:events'
import net, { isIP, type Socket } from 'node:net'
import tls, { type ConnectionOptions } from 'node:tls'
import { OperatorError } from '../src/errors.js'
import type { MqttTarget } from './mqtt-url.js'
import { printable } from './printable.js'

/** Certificates for `mqtts://`; without a `ca` those that the system trusts. */
export type TlsFiles = Pick<ConnectionOptions, 'ca' | 'cert' | 'key'>

/**
 * Opens the connection.
 * @throws OperatorError `mqtt-unreachable` or `mqtt-timeout`
 */
export async function openMqttSocket ({ host, port, isTls, shown }: MqttTarget, files: TlsFiles, timeoutMs: number): Promise<Socket> {
  const socket = isTls
    ? tls.connect({ host, port, ...isIP(host) === 0 && { servername: host }, ...files })
    : net.connect({ host, port, noDelay: true })
  try {
    await once(socket, isTls ? 'secureConnect' : 'connect', { signal: AbortSignal.timeout(timeoutMs) })
    return socket
  } catch (error) {
    socket.destroy()
    if (error instanceof Error && error.name === 'AbortError') throw timedOut(shown, timeoutMs)
    throw new OperatorError('mqtt-unreachable', `Nobody can be reached at ${shown}: ${reasonOf(error)}.`,
      isTls ? 'Check host and port, and that the broker\'s certificate is one that is trusted here.' : 'Check host and port, and whether the broker runs.', { cause: error })
  }
}

/** An AggregateError, of a name with several addresses, has no message. */
function reasonOf (error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException
  return printable(message === '' ? String(code) : message)
}

/** What is said where the broker does not answer. */
export function timedOut (name: string, timeoutMs: number): OperatorError {
  return new OperatorError('mqtt-timeout', `${name} did not answer within ${timeoutMs / 1_000} s.`, 'Check host and port, and whether the broker runs.')
}
