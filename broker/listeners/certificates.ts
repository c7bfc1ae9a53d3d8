// Reads the certificate files of a listener.

import { readFileSync } from 'node:fs'
import { createSecureContext, type PeerCertificate, type SecureContextOptions, type TLSSocket } from 'node:tls'
import { OperatorError } from '../../src/errors.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import type { ListenerSettings } from './accepted-connection.js'

/** The `tls` setting of a listener. */
export type TlsSettings = NonNullable<ListenerSettings['tls']>

/**
 * Reads certificate, private key and CA certificate.
 * @throws OperatorError `certificate` if a file cannot be read or is invalid, or if key and certificate do not match
 */
export function readCertificates(settings: TlsSettings): SecureContextOptions {
  const cert = read('certificate', settings.cert)
  const key = read('private key', settings.key)
  const ca = settings.ca === null ? undefined : read('CA certificate', settings.ca)
  check('certificate', settings.cert, { cert })
  check('private key', settings.key, { key })
  if (ca !== undefined) check('CA certificate', settings.ca ?? '', { ca })
  check('private key', settings.key, { cert, key })
  return { cert, key, ...(ca !== undefined && { ca }), minVersion: 'TLSv1.2' }
}

/** Common name of the verified client certificate; null if it has none, or several. */
export function commonNameOf(socket: TLSSocket): string | null {
  const { subject } = socket.getPeerCertificate() as Partial<PeerCertificate>
  const name: unknown = subject?.CN
  return typeof name === 'string' && name !== '' ? name : null
}

function read(kind: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new OperatorError(
      'certificate',
      `The ${kind} ${printable(file, MAX_PATH_LENGTH)} cannot be read (${code}).`,
      'Check the path, and that the user of the broker may read the file.',
      { cause }
    )
  }
}

function check(kind: string, file: string, options: SecureContextOptions): void {
  try {
    createSecureContext(options)
  } catch (cause) {
    const { message } = cause as Error
    throw new OperatorError(
      'certificate',
      `The ${kind} ${printable(file, MAX_PATH_LENGTH)} is invalid: ${printable(message)}.`,
      'Use PEM files and a private key that matches the certificate and has no passphrase.',
      { cause }
    )
  }
}
