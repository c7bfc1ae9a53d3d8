// The record: one captured frame, or one control packet where there is no tap, with what is known of its sender.

import type { RecordFeatures } from './features/schema.js'
import type { Direction, Endpoint, JoinKind } from './types.js'

/**
 * A connection as alerts name it. One object per connection, shared by its records; the identity comes with the
 * CONNECT.
 */
export interface Peer {
  readonly client: Endpoint
  readonly broker: Endpoint
  /** The broker's number of the connection; null where the broker does not know it. */
  connection: number | null
  clientId: string | null
  username: string | null
  /** Whom a trusted proxy announced; then `client` is the proxy. */
  announced?: Endpoint
}

/** Who a connection's client is: the one that a proxy announced, else whoever connected. */
export function originOf({ announced, client }: Pick<Peer, 'announced' | 'client'>): Endpoint {
  return announced ?? client
}

/** What is scored. */
export interface TrafficRecord {
  /** Number of the frame in its capture, from 1; null where there is no tap. */
  frame: number | null
  /** Epoch time: whole seconds and nanoseconds within. */
  seconds: number
  nanoseconds: number
  features: RecordFeatures
  join: JoinKind
  direction: Direction
  peer: Peer
  /** Control packets completed by the frame. */
  packets: number
  /** Of these, the ones that its sender sent of its own accord, and not in answer: all but acknowledgements. */
  initiated: number
  /** Carries only what the detection itself publishes: not scored, or alerts would raise the score. */
  own: boolean
}

/** Epoch time of a record in seconds, to about a quarter of a microsecond. */
export function timeOf(record: { seconds: number; nanoseconds: number }): number {
  return record.seconds + record.nanoseconds / 1e9
}
