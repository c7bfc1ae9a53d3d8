// Mid-stream pickup: finds the byte offset at which a connection's frames can be joined when the tap missed its start
// or lagged behind.

import type { Direction, TcpStream } from '../types.js'
import type { Connection, MidStreamPickup } from './connection.js'
import { isMidStream, hasHandshake } from './flow-table.js'
import { PauseAlignment, type AlignmentTiming } from './pause-alignment.js'

/** Starts a pickup for a connection in fallback to packets, if one is possible. */
export function startPickup(connection: Connection, stream: TcpStream, timings: readonly AlignmentTiming[]): void {
  const { recordSource, pickup, placed, ambiguous, closed } = connection
  if (
    recordSource !== 'packets' ||
    pickup !== undefined ||
    !placed ||
    ambiguous ||
    closed ||
    !(isMidStream(stream) || hasHandshake(stream))
  )
    return
  const direction = (): MidStreamPickup => ({
    alignments: hasHandshake(stream) ? null : timings.map(timing => new PauseAlignment(timing)),
    shift: undefined,
    captured: 0,
    joinedFrom: 0
  })
  connection.pickup = { in: direction(), out: direction() }
}

/**
 * Updates the pickup of one direction.
 *
 * @param captured tap offset up to which the tap has captured the direction
 * @returns whether this call found the offset
 */
export function updatePickup(
  connection: Connection | undefined,
  direction: Direction,
  take: (alignment: PauseAlignment) => void,
  captured = 0
): boolean {
  const pickup = connection?.pickup?.[direction]
  if (connection === undefined || pickup === undefined || pickup.shift !== undefined) return false
  pickup.captured = Math.max(pickup.captured, captured)
  const { alignments } = pickup
  alignments?.forEach(take)
  const { watermark } = connection[direction]
  const shift =
    alignments !== null
      ? alignments.find(({ shift }) => shift !== undefined)?.shift
      : pickup.captured >= watermark
        ? 0
        : undefined
  if (shift === undefined) return false
  pickup.shift = shift
  // Packets and frames up to here were emitted without a join.
  pickup.joinedFrom = Math.max(watermark, pickup.captured + shift)
  return true
}

/** Whether the direction's frames are its records, and its packets wait for frames. */
export function joinsFrames({ recordSource, pickup }: Connection, direction: Direction): boolean {
  return recordSource !== 'packets' || pickup?.[direction].shift !== undefined
}

/** Broker offset minus tap offset. */
export function shiftOf({ pickup }: Connection, direction: Direction): number {
  return pickup?.[direction].shift ?? 0
}

/** Broker offset up to which packets and frames were not joined. */
export function joinedFrom({ pickup }: Connection, direction: Direction): number {
  return pickup?.[direction].joinedFrom ?? 0
}
