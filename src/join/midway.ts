// A connection that is older than the tap, or that the tap was behind: where its frames belong, and from when on they
// are joined.

import type { Direction, TcpStream } from '../types.js'
import { isMidway, isWhole, type Connection } from './bindings.js'
import { Midstream, type MidstreamTiming } from './midstream.js'

/** One direction of it. */
export interface Midway {
  /** Each finds the shift, if its timing suits; null where it is known to be 0, and the tap must only catch up. */
  readonly midstreams: readonly Midstream[] | null
  /** By how much the broker's offsets exceed the tap's, once that is known: from then on its frames are joined. */
  shift: number | undefined
  /** How far the tap has seen it, by its own count. */
  seen: number
  /** The broker's offset up to which packets and frames went by unjoined. */
  joinedFrom: number
}

/** Begins to look for the place of a connection that is judged by its packets, where it may have one. */
export function beginMidway(connection: Connection, stream: TcpStream, timings: readonly MidstreamTiming[]): void {
  const { route, midway, placed, ambiguous, closed } = connection
  if (
    route !== 'packets' ||
    midway !== undefined ||
    !placed ||
    ambiguous ||
    closed ||
    !(isMidway(stream) || isWhole(stream))
  )
    return
  const direction = (): Midway => ({
    midstreams: isWhole(stream) ? null : timings.map(timing => new Midstream(timing)),
    shift: undefined,
    seen: 0,
    joinedFrom: 0
  })
  connection.midway = { in: direction(), out: direction() }
}

/**
 * Goes on looking with one more thing known.
 *
 * @param seen what the tap has seen of the direction, by its own count
 * @returns whether the place is found just now
 */
export function findMidway(
  connection: Connection | undefined,
  direction: Direction,
  take: (midstream: Midstream) => void,
  seen = 0
): boolean {
  const midway = connection?.midway?.[direction]
  if (connection === undefined || midway === undefined || midway.shift !== undefined) return false
  midway.seen = Math.max(midway.seen, seen)
  const { midstreams } = midway
  midstreams?.forEach(take)
  const { watermark } = connection[direction]
  const shift =
    midstreams !== null
      ? midstreams.find(({ shift }) => shift !== undefined)?.shift
      : midway.seen >= watermark
        ? 0
        : undefined
  if (shift === undefined) return false
  midway.shift = shift
  // What either side has told already went by unjoined.
  midway.joinedFrom = Math.max(watermark, midway.seen + shift)
  return true
}

/** Whether the direction's frames are its records, and its packets wait for them. */
export function joinsFrames({ route, midway }: Connection, direction: Direction): boolean {
  return route !== 'packets' || midway?.[direction].shift !== undefined
}

/** By how much the broker's offsets exceed the tap's. */
export function shiftOf({ midway }: Connection, direction: Direction): number {
  return midway?.[direction].shift ?? 0
}

/** The broker's offset up to which packets and frames went by unjoined. */
export function joinedFrom({ midway }: Connection, direction: Direction): number {
  return midway?.[direction].joinedFrom ?? 0
}
