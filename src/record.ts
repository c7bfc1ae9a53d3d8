// The record: one captured frame, or one control packet without a tap, with its sender's identity.

import type { RecordFeatures } from './features/schema.js'
import type { Direction, Endpoint, JoinKind } from './types.js'

/** A connection as alerts name it: one object, shared by its records. CONNECT sets the identity. */
export interface Peer {
  readonly client: Endpoint
  readonly broker: Endpoint
  /** The broker's number of the connection; null if the broker does not know the connection. */
  connection: number | null
  clientId: string | null
  username: string | null
  /** The client that a trusted proxy announced. `client` is then the proxy. */
  announced?: Endpoint
}

/** Returns the client's endpoint: the one that a proxy announced, else the connecting one. */
export function clientEndpoint({ announced, client }: Pick<Peer, 'announced' | 'client'>): Endpoint {
  return announced ?? client
}

/** The unit that is scored. */
export interface TrafficRecord {
  /** Number of the frame in its capture, from 1; null without a tap. */
  frame: number | null
  /** Epoch time: whole seconds and nanoseconds within. */
  seconds: number
  nanoseconds: number
  features: RecordFeatures
  join: JoinKind
  direction: Direction
  peer: Peer
  /** Control packets that the frame completes. */
  packets: number
  /** How many of those are not acknowledgements, so that the sender initiated them. */
  initiated: number
  /** Carries only what the detection publishes itself. Not scored, because alerts would raise the score. */
  own: boolean
}

/** Returns a record's epoch time in seconds, precise to about a quarter of a microsecond. */
export function timeOf(record: { seconds: number; nanoseconds: number }): number {
  return record.seconds + record.nanoseconds / 1e9
}
