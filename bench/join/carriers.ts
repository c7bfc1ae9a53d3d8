// Transports of the join bench: listener and client for each.

import { createServer as createHttpServer } from 'node:http'
import { connect as connectTcp, createServer, type Server } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, createServer as createTlsServer, type SecureVersion } from 'node:tls'
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws'
import type { IncomingMessage } from 'node:http'
import { WebSocketStream } from '../../broker/listeners/web-socket-stream.js'

/** Transports, as named on the command line. */
export const CARRIERS = ['tcp', 'tls1.3', 'tls1.2', 'websocket'] as const
export type Carrier = (typeof CARRIERS)[number]

/** Key and certificate of a TLS listener. */
export interface TlsIdentity {
  key: string
  cert: string
  /** Called with each line of the key log. */
  onKeys: (line: Buffer) => void
}

/** Handles a new connection. */
export type Handle = (stream: Duplex, request?: IncomingMessage) => void

/** Creates a listener that passes on its connections. */
export function listener(carrier: Carrier, identity: TlsIdentity | undefined, handle: Handle): Server {
  if (carrier === 'tcp')
    return createServer({ noDelay: true }, socket => {
      handle(socket)
    })
  if (carrier === 'websocket') {
    const server = createHttpServer()
    new WebSocketServer({ server }).on('connection', (socket, request) => {
      handle(new WebSocketStream(socket), request)
    })
    return server
  }
  if (identity === undefined) throw new Error('A TLS listener requires a key')
  const { key, cert, onKeys } = identity
  const version = versionOf(carrier)
  const server = createTlsServer({ key, cert, noDelay: true, minVersion: version, maxVersion: version }, socket => {
    socket.on('error', () => {})
    handle(socket)
  })
  return server.on('keylog', onKeys)
}

/** Opens a client connection; each `write` is one segment if it fits. */
export function connectCarrier(carrier: Carrier, host: string, port: number): Duplex {
  if (carrier === 'tcp') return connectTcp({ host, port, noDelay: true })
  if (carrier === 'websocket')
    return createWebSocketStream(
      new WebSocket(`ws://${host.includes(':') ? `[${host}]` : host}:${port}`, 'mqtt', { perMessageDeflate: false })
    )
  // The certificate is temporary and self-signed.
  const socket = connectTls({ host, port, rejectUnauthorized: false })
  return socket.setNoDelay()
}

function versionOf(carrier: Carrier): SecureVersion {
  return carrier === 'tls1.2' ? 'TLSv1.2' : 'TLSv1.3'
}
