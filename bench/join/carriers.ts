// What carries MQTT in the measurements of the join: the listener and the client of each kind.

import { createServer as createHttpServer } from 'node:http'
import { connect as connectTcp, createServer, type Server } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, createServer as createTlsServer, type SecureVersion } from 'node:tls'
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws'
import type { IncomingMessage } from 'node:http'
import { WebSocketStream } from '../../broker/listeners/web-socket-stream.js'

/** The kinds, as they are called on the command line. */
export const CARRIERS = ['tcp', 'tls1.3', 'tls1.2', 'websocket'] as const
export type Carrier = (typeof CARRIERS)[number]

/** What a TLS listener needs. */
export interface TlsIdentity {
  key: string
  cert: string
  /** Gets the lines of the key log. */
  onKeys: (line: Buffer) => void
}

/** Takes a connection. */
export type Handle = (stream: Duplex, request?: IncomingMessage) => void

/** A listener that hands its connections on. */
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
  if (identity === undefined) throw new Error('a TLS listener needs a key')
  const { key, cert, onKeys } = identity
  const version = versionOf(carrier)
  const server = createTlsServer({ key, cert, noDelay: true, minVersion: version, maxVersion: version }, socket => {
    socket.on('error', () => {})
    handle(socket)
  })
  return server.on('keylog', onKeys)
}

/** A client's end; `write` sends one chunk, as one segment where it fits. */
export function dial(carrier: Carrier, host: string, port: number): Duplex {
  if (carrier === 'tcp') return connectTcp({ host, port, noDelay: true })
  if (carrier === 'websocket')
    return createWebSocketStream(
      new WebSocket(`ws://${host.includes(':') ? `[${host}]` : host}:${port}`, 'mqtt', { perMessageDeflate: false })
    )
  // A certificate of the day, for a key that nobody else has.
  const socket = connectTls({ host, port, rejectUnauthorized: false })
  return socket.setNoDelay()
}

function versionOf(carrier: Carrier): SecureVersion {
  return carrier === 'tls1.2' ? 'TLSv1.2' : 'TLSv1.3'
}
