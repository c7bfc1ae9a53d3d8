// The certificates of a listener, read from the files that its settings name.

import { readFileSync } from 'node:fs'
import { createSecureContext, type PeerCertificate, type SecureContextOptions, type TLSSocket } from 'node:tls'
import { OperatorError } from '../../src/errors.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import type { ListenerSettings } from './accepted-connection.js'

/** The setting `tls` of a listener that has it. */
export type TlsSettings = NonNullable<ListenerSettings['tls']>

/**
 * Reads certificate, key and authority.
 * @throws OperatorError `certificate` where a file cannot be read, is none, or does not go with the others
 */
export function readCertificates(settings: TlsSettings): SecureContextOptions {
  const cert = read('certificate', settings.cert)
  const key = read('private key', settings.key)
  const ca = settings.ca === null ? undefined : read('certificate of the authority', settings.ca)
  check('certificate', settings.cert, { cert })
  check('private key', settings.key, { key })
  if (ca !== undefined) check('certificate of the authority', settings.ca ?? '', { ca })
  check('private key', settings.key, { cert, key })
  return { cert, key, ...(ca !== undefined && { ca }), minVersion: 'TLSv1.2' }
}

/** Common name of the certificate that a client has proved to hold; null where it has none, or several. */
export function commonNameOf(socket: TLSSocket): string | null {
  const { subject } = socket.getPeerCertificate() as Partial<PeerCertificate>
  const name: unknown = subject?.CN
  return typeof name === 'string' && name !== '' ? name : null
}

function read(what: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new OperatorError(
      'certificate',
      `The ${what} ${printable(file, MAX_PATH_LENGTH)} cannot be read (${code}).`,
      'Check the path, and that the user who runs the broker may read it.',
      { cause }
    )
  }
}

function check(what: string, file: string, options: SecureContextOptions): void {
  try {
    createSecureContext(options)
  } catch (cause) {
    const { message } = cause as Error
    throw new OperatorError(
      'certificate',
      `The ${what} ${printable(file, MAX_PATH_LENGTH)} does not serve: ${printable(message)}.`,
      'It must be PEM, the key must be that of the certificate, and have no passphrase.',
      { cause }
    )
  }
}
