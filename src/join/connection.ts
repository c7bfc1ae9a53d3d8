// A connection in the join.

import type { Peer } from '../record.js'
import type { Direction, JoinKind } from '../types.js'
import type { PacketQueue } from './packet-queue.js'
import type { PauseAlignment } from './pause-alignment.js'

/**
 * `undecided`: accepted, SYN not captured yet. `frames`: the connection's frames are its records. `packets`: its
 * packets are its records, because there is no tap, the tap cannot decode the flow, or the tap missed the SYN.
 */
export type RecordSource = 'undecided' | 'frames' | 'packets'

/** State of the mid-stream pickup of one direction. */
export interface MidStreamPickup {
  /** Each finds the shift if its timing fits. null: the shift is 0, and the tap must only catch up. */
  readonly alignments: readonly PauseAlignment[] | null
  /** Broker offset minus tap offset. Frames are joined once it is known. */
  shift: number | undefined
  /** Tap offset up to which the tap has captured the direction. */
  captured: number
  /** Broker offset up to which packets and frames were not joined. */
  joinedFrom: number
}

/** A connection as reported by the broker. */
export interface Connection {
  readonly id: number
  readonly openedAtMs: number
  recordSource: RecordSource
  /** The join kind of its records. */
  readonly join: JoinKind
  /** Whether its flow is known. */
  bound: boolean
  /** Whether the broker's offsets are TCP stream offsets. */
  placed: boolean
  /** Whether several flows could match its tuple. An ambiguous connection is never joined. */
  ambiguous: boolean
  /** State of the mid-stream pickup, if one is possible. */
  pickup: Record<Direction, MidStreamPickup> | undefined
  closed: boolean
  closedAtMs: number
  /**
   * When another flow with the same tuple started. If the connection is still open later, it was bound to the wrong
   * flow.
   */
  supersededAtMs: number
  peer: Peer
  readonly in: PacketQueue
  readonly out: PacketQueue
}
