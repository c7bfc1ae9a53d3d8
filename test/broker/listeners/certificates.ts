// Short-lived test certificates and their CA, created with openssl.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { findProgram } from '../../support/programs.js'

/** Creates `ca.pem`, and `NAME.pem` and `NAME.key` for each name, in a folder. */
export function makeCertificates(folder: string, names: readonly string[]): void {
  const at = (file: string): string => path.join(folder, file)
  const openssl = (...args: string[]): void => {
    execFileSync(findProgram('openssl'), args, { stdio: 'ignore' })
  }
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...ec, '-days', '2', '-subj', '/CN=authority', '-keyout', at('ca.key'), '-out', at('ca.pem'))
  for (const name of names) {
    openssl('req', '-new', ...ec, '-subj', `/CN=${name}`, '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`))
    openssl(
      'x509',
      '-req',
      '-in',
      at(`${name}.csr`),
      '-CA',
      at('ca.pem'),
      '-CAkey',
      at('ca.key'),
      '-CAcreateserial',
      '-days',
      '2',
      '-out',
      at(`${name}.pem`)
    )
  }
}

/** Reads key, certificate and CA certificate for a client. */
export function clientCertificate(folder: string, name: string): { key: Buffer; cert: Buffer; ca: Buffer } {
  const read = (file: string): Buffer => readFileSync(path.join(folder, file))
  return { key: read(`${name}.key`), cert: read(`${name}.pem`), ca: read('ca.pem') }
}
