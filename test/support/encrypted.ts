// TLS for tests: certificates, servers that log their session keys, and decryption with tshark.

import { execFileSync } from 'node:child_process'
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createServer, type TlsOptions } from 'node:tls'
import { findProgram } from './programs.js'
import type { MakeServer } from './watched-broker.js'

/** Creates a key (`key.pem`) and a self-signed certificate (`cert.pem`) for localhost in `directory`, with openssl. */
export function certificate(directory: string): { key: Buffer; cert: Buffer } {
  const key = join(directory, 'key.pem')
  const cert = join(directory, 'cert.pem')
  execFileSync(
    findProgram('openssl'),
    [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=localhost',
      '-keyout',
      key,
      '-out',
      cert
    ],
    { stdio: 'ignore' }
  )
  return { key: readFileSync(key), cert: readFileSync(cert) }
}

/** Returns a factory of TLS servers that write their session keys to a file, for `tshark -o tls.keylog_file`. */
export function tlsServer(options: TlsOptions, keyLog: string): MakeServer {
  return handle => {
    const server = createServer({ noDelay: true, ...options }, socket => {
      socket.on('error', () => {})
      handle(socket)
    })
    server.on('keylog', line => {
      appendFileSync(keyLog, line)
    })
    return server
  }
}

/** Returns header and length of the packets that tshark finds in each frame, with the session keys. */
export function decrypt(capture: string, keyLog: string, port: number): Map<number, string[]> {
  const text = execFileSync(
    findProgram('tshark'),
    [
      '-r',
      capture,
      '-o',
      `tls.keylog_file:${keyLog}`,
      '-o',
      'tcp.reassemble_out_of_order:TRUE',
      '-d',
      `tcp.port==${port},tls`,
      '-d',
      `tls.port==${port},mqtt`,
      '-Y',
      'mqtt',
      '-T',
      'fields',
      '-e',
      'frame.number',
      '-e',
      'mqtt.hdrflags',
      '-e',
      'mqtt.len'
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 28 }
  )
  return new Map(
    text
      .trimEnd()
      .split('\n')
      .map(line => {
        const [frame, headers, lengths] = line.split('\t')
        const sizes = lengths.split(',')
        return [Number(frame), headers.split(',').map((header, i) => `${Number(header)} ${sizes[i]}`)]
      })
  )
}
