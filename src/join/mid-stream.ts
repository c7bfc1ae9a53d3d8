// A connection that is older than the tap, or that the tap was behind: where its frames belong, and from when on they
// are joined.

import type { Direction, TcpStream } from '../types.js'
import { isMidStream, isWhole, type Connection } from './flow-table.js'
import { PauseAlignment, type AlignmentTiming } from './pause-alignment.js'

/** One direction of it. */
export interface MidStreamPickup {
  /** Each finds the shift, if its timing suits; null where it is known to be 0, and the tap must only catch up. */
  readonly alignments: readonly PauseAlignment[] | null
  /** By how much the broker's offsets exceed the tap's, once that is known: from then on its frames are joined. */
  shift: number | undefined
  /** How far the tap has seen it, by its own count. */
  seen: number
  /** The broker's offset up to which packets and frames went by unjoined. */
  joinedFrom: number
}

/** Begins to look for the place of a connection that is judged by its packets, where it may have one. */
export function startPickup(connection: Connection, stream: TcpStream, timings: readonly AlignmentTiming[]): void {
  const { recordSource, pickup, placed, ambiguous, closed } = connection
  if (
    recordSource !== 'packets' ||
    pickup !== undefined ||
    !placed ||
    ambiguous ||
    closed ||
    !(isMidStream(stream) || isWhole(stream))
  )
    return
  const direction = (): MidStreamPickup => ({
    alignments: isWhole(stream) ? null : timings.map(timing => new PauseAlignment(timing)),
    shift: undefined,
    seen: 0,
    joinedFrom: 0
  })
  connection.pickup = { in: direction(), out: direction() }
}

/**
 * Goes on looking with one more thing known.
 *
 * @param seen what the tap has seen of the direction, by its own count
 * @returns whether the place is found just now
 */
export function updatePickup(
  connection: Connection | undefined,
  direction: Direction,
  take: (alignment: PauseAlignment) => void,
  seen = 0
): boolean {
  const pickup = connection?.pickup?.[direction]
  if (connection === undefined || pickup === undefined || pickup.shift !== undefined) return false
  pickup.seen = Math.max(pickup.seen, seen)
  const { alignments } = pickup
  alignments?.forEach(take)
  const { watermark } = connection[direction]
  const shift =
    alignments !== null
      ? alignments.find(({ shift }) => shift !== undefined)?.shift
      : pickup.seen >= watermark
        ? 0
        : undefined
  if (shift === undefined) return false
  pickup.shift = shift
  // What either side has told already went by unjoined.
  pickup.joinedFrom = Math.max(watermark, pickup.seen + shift)
  return true
}

/** Whether the direction's frames are its records, and its packets wait for them. */
export function joinsFrames({ recordSource, pickup }: Connection, direction: Direction): boolean {
  return recordSource !== 'packets' || pickup?.[direction].shift !== undefined
}

/** By how much the broker's offsets exceed the tap's. */
export function shiftOf({ pickup }: Connection, direction: Direction): number {
  return pickup?.[direction].shift ?? 0
}

/** The broker's offset up to which packets and frames went by unjoined. */
export function joinedFrom({ pickup }: Connection, direction: Direction): number {
  return pickup?.[direction].joinedFrom ?? 0
}
