// Records like those of the join, for tests of the later stages.

import type { FeatureValues } from '../../src/features/schema.js'
import type { Peer, TrafficRecord } from '../../src/record.js'
import type { Direction } from '../../src/types.js'
import { values } from '../features/feature-values.js'

/** Time of the first record, epoch seconds. */
export const START = 1_700_000_000

/** Returns a client's connection. */
export function peer(clientId: string | null, connection: number | null = 1, address = '192.0.2.7'): Peer {
  return {
    client: { address, port: 50_000 + (connection ?? 0) },
    broker: { address: '192.0.2.100', port: 1883 },
    connection,
    clientId,
    username: null
  }
}

/** Returns a record `seconds` after {@link START}. */
export function record(
  seconds: number,
  given: {
    peer?: Peer
    direction?: Direction
    features?: FeatureValues
    frame?: number | null
    own?: boolean
  } = {}
): TrafficRecord {
  const microseconds = Math.round(seconds * 1e6)
  return {
    frame: given.frame ?? null,
    seconds: START + Math.floor(microseconds / 1e6),
    nanoseconds: (microseconds % 1e6) * 1_000,
    features: given.features ?? values(),
    join: 'none',
    direction: given.direction ?? 'in',
    peer: given.peer ?? peer('sensor'),
    packets: 1,
    initiated: 1,
    own: given.own ?? false
  }
}
