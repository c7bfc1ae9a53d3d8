// Addresses as every part of the program writes them.

import type { Duplex } from 'node:stream'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Endpoint } from '../types.js'
import { announcementOf } from './announced.js'
import type { Transport } from './entries.js'

const IPV4_MAPPED = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i

/** An IPv4-mapped IPv6 address, as dual-stack listeners report it, written as IPv4 (RFC 4291, 2.5.5.2). */
export function normaliseAddress(address: string): string {
  return IPV4_MAPPED.exec(address)?.[1] ?? address
}

/** The ends of a connection and what carries it. */
export interface ConnectionAddresses {
  transport: Transport
  client: Endpoint
  broker: Endpoint
  /** Whom a trusted proxy announced in place of itself; then `client` is the proxy. */
  announced?: Endpoint
}

/**
 * Reads a connection's addresses; to be called when it is accepted, because a destroyed socket has none.
 *
 * @param request the HTTP upgrade request of a WebSocket, whose stream itself knows no addresses
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
