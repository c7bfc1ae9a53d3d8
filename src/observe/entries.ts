// The entries that the broker thread sends to the detection thread.

import type { Direction, Endpoint, MqttPacket } from '../types.js'

/** Transport of a connection. `stream` is anything that is not a socket. */
export type Transport = 'tcp' | 'tls' | 'websocket' | 'stream'

/** A connection was accepted, or is announced again to a restarted detection thread. */
export interface OpenEntry {
  kind: 'open'
  connection: number
  /** Epoch milliseconds. */
  time: number
  transport: Transport
  client: Endpoint
  broker: Endpoint
}

/** A trusted proxy announced the client of the connection. */
export interface AnnouncedEntry {
  kind: 'announced'
  connection: number
  client: Endpoint
}

/** A CONNECT was accepted for authentication. */
export interface IdentityEntry {
  kind: 'identity'
  connection: number
  clientId: string
  /** Empty if the client sent none. */
  username: string
}

/** A control packet was read or written; `packet.end` is its end offset in that direction of the TCP stream. */
export interface PacketEntry {
  kind: 'packet'
  connection: number
  direction: Direction
  time: number
  packet: MqttPacket
  /** Number of earlier packets of the direction, modulo 2^32. */
  ordinal: number
  /** Whether it is the last packet that ends at this offset; several in one TLS record share theirs. */
  last: boolean
}

/** The broker has read or written up to `offset`, inside a packet. */
export interface MarkEntry {
  kind: 'mark'
  connection: number
  direction: Direction
  /** Epoch milliseconds. */
  time: number
  /** Start of that packet, or `offset` if several packets may share an end: all that end up to here were reported. */
  begin: number
  offset: number
  /** Number of packets of the direction reported before, modulo 2^32. */
  ordinal: number
}

/**
 * Why packets cannot be placed in the TCP stream. `cipher`: TLS cipher with variable overhead. `tls-websocket`:
 * WebSocket over TLS. `carrier`: another kind of stream, or bytes were transferred before it was watched. `records`: an
 * uncounted TLS record, for example a KeyUpdate. `frames`: an unsupported WebSocket frame, for example a compressed
 * one. `backlog`: too many packets wait to be placed.
 */
export type UnplacedReason = (typeof UNPLACED_REASONS)[number]
export const UNPLACED_REASONS = ['cipher', 'tls-websocket', 'carrier', 'records', 'frames', 'backlog'] as const

/** The packets of the connection cannot be placed in the TCP stream, from now on or from the start. */
export interface UnplacedEntry {
  kind: 'unplaced'
  connection: number
  reason: UnplacedReason
}

/** The connection is closed: no further bytes will be read or written. */
export interface CloseEntry {
  kind: 'close'
  connection: number
  time: number
}

/** An entry of the ring buffer. */
export type BrokerEntry =
  OpenEntry | AnnouncedEntry | IdentityEntry | PacketEntry | MarkEntry | UnplacedEntry | CloseEntry
