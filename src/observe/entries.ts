// What the broker thread tells the detection thread.

import type { Direction, Endpoint, MqttPacket } from '../types.js'

/** What carries a connection's MQTT bytes. `stream` is anything that is no socket. */
export type Transport = 'tcp' | 'tls' | 'websocket' | 'stream'

/** A connection was accepted, or is announced anew to a restarted detection thread. */
export interface OpenEntry {
  kind: 'open'
  connection: number
  /** Epoch milliseconds. */
  time: number
  transport: Transport
  client: Endpoint
  broker: Endpoint
}

/** The connection comes through a trusted proxy, which said for whom. */
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
  /** Empty where the client sent none. */
  username: string
}

/** A control packet was read or written; `packet.end` is its offset in that direction of the TCP stream. */
export interface PacketEntry {
  kind: 'packet'
  connection: number
  direction: Direction
  time: number
  packet: MqttPacket
  /** How many packets of the direction came before it, modulo 2^32. */
  ordinal: number
  /** Whether none that follows ends at the same offset, as several in one TLS record do. */
  last: boolean
}

/** The broker has read or written up to `offset`, in the middle of a packet. */
export interface MarkEntry {
  kind: 'mark'
  connection: number
  direction: Direction
  /** Epoch milliseconds. */
  time: number
  /** Where that packet begins, or `offset` where several may end at one place: all that end up to here were told. */
  begin: number
  offset: number
  /** How many packets of the direction were told before, modulo 2^32. */
  ordinal: number
}

/**
 * Why packets cannot be placed in the TCP stream. `cipher`: TLS records of no fixed length. `tls-websocket`:
 * WebSocket within TLS. `carrier`: another kind of stream, or bytes went by before it was watched. `records`:
 * a TLS record went by uncounted, as with a change of keys. `frames`: a WebSocket frame that is not
 * understood, such as a compressed one. `backlog`: too much waited to be placed.
 */
export type UnplacedReason = (typeof UNPLACED_REASONS)[number]
export const UNPLACED_REASONS = ['cipher', 'tls-websocket', 'carrier', 'records', 'frames', 'backlog'] as const

/** Where packets end in the TCP stream cannot be said any more, or never could: what carries them is not understood. */
export interface UnplacedEntry {
  kind: 'unplaced'
  connection: number
  reason: UnplacedReason
}

/** The connection is closed: no byte beyond what was told will be read or written. */
export interface CloseEntry {
  kind: 'close'
  connection: number
  time: number
}

/** One entry of the ring. */
export type BrokerEntry =
  OpenEntry | AnnouncedEntry | IdentityEntry | PacketEntry | MarkEntry | UnplacedEntry | CloseEntry
