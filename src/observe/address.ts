// Reads and normalises the addresses of a connection.

import type { Duplex } from 'node:stream'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Endpoint } from '../types.js'
import { announcementOf } from './announced.js'
import type { Transport } from './entries.js'

const IPV4_MAPPED = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i

/** Converts an IPv4-mapped IPv6 address, as dual-stack listeners report it, to IPv4 (RFC 4291, 2.5.5.2). */
export function normaliseAddress(address: string): string {
  return IPV4_MAPPED.exec(address)?.[1] ?? address
}

/** Endpoints and transport of a connection. */
export interface ConnectionAddresses {
  transport: Transport
  client: Endpoint
  broker: Endpoint
  /** Client address from a trusted proxy; then `client` is the proxy. */
  announced?: Endpoint
}

/**
 * Reads a connection's addresses. Call it when the connection is accepted: a destroyed socket has no addresses.
 *
 * @param request HTTP upgrade request of a WebSocket, whose stream has no addresses
 */
export function addressesOf(connection: Duplex, request?: IncomingMessage): ConnectionAddresses {
  const socket = (request?.socket ?? connection) as Partial<Socket> & { encrypted?: boolean }
  const announced = announcementOf(connection)?.client
  return {
    transport: transportOf(socket, request),
    client: endpoint(socket.remoteAddress, socket.remotePort),
    broker: endpoint(socket.localAddress, socket.localPort),
    ...(announced !== undefined && { announced: endpoint(announced.address, announced.port) })
  }
}

function transportOf(socket: Partial<Socket> & { encrypted?: boolean }, request?: IncomingMessage): Transport {
  if (request !== undefined) return 'websocket'
  if (socket.encrypted === true) return 'tls'
  return socket.remoteAddress === undefined ? 'stream' : 'tcp'
}

function endpoint(address?: string, port?: number): Endpoint {
  return { address: address === undefined ? '' : normaliseAddress(address), port: port ?? 0 }
}
