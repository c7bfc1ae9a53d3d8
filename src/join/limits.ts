// Limits and counters of the join.

/** Limits of the join's memory. Each overflow is counted. */
export interface JoinLimits {
  /** How long a frame waits for the broker's entries, and an accepted connection for its frames, ms. */
  holdMs: number
  /** How long a packet waits for its frame before the connection falls back to packets, ms. */
  blindMs: number
  /** Frames held, in total. */
  pendingFrames: number
  /** Packets waiting for their frames, per connection and direction. */
  packetsPerConnection: number
  /** Flows captured by the tap without an accepted connection. */
  unboundStreams: number
}

/** Defaults: wide enough for the jitter of a busy broker, and a bound on the memory that an attacker can use. */
export const DEFAULT_JOIN_LIMITS: JoinLimits = Object.freeze({
  holdMs: 1_000,
  blindMs: 5_000,
  pendingFrames: 20_000,
  packetsPerConnection: 10_000,
  unboundStreams: 4_096
})

/** Join counters, as shown in the status. */
export interface JoinCounters {
  /** Frames with MQTT bytes that were joined with broker entries. */
  framesJoined: number
  /** Frames with MQTT bytes that were not joined: unknown connection, or the broker's entries arrived too late. */
  framesUnjoined: number
  /** Frames not joined because more than `pendingFrames` were held; included in `framesUnjoined`. */
  framesOverflowed: number
  /** Frames that arrived after the broker had closed the connection, and so were never read. */
  framesAfterClose: number
  /** Frames of connections in fallback to packets. */
  framesFallback: number
  /** Packets without a frame, scored as separate records. */
  packetsAlone: number
  /** Packets that arrived after their frame was given up; separate records. */
  packetsLate: number
  /** Packets whose frame was never captured, or could not be placed before a gap was given up; separate records. */
  packetsUnseen: number
  /** Connections whose frames did not match the broker's entries; they fall back to packets. */
  mismatches: number
  /** Connections over TLS or WebSocket whose packets have no known stream offsets; they fall back to packets. */
  connectionsUnplaced: number
  /** Connections whose start the tap did not capture in time; they fall back to packets. */
  connectionsUnseen: number
  /** Times that a connection's frames stopped or lagged too far behind. It falls back to packets until they resume. */
  connectionsBlind: number
  /** Connections with more than `packetsPerConnection` waiting packets; they fall back to packets. */
  connectionsOverflowed: number
  /**
   * Directions joined by a mid-stream pickup: of connections older than the tap, and of connections whose frames
   * lagged.
   */
  midstreamFound: number
  /** Flows dropped because more than `unboundStreams` waited for the broker to accept them. */
  streamsForgotten: number
  /** Packet entries of connections that the broker did not announce. */
  packetsUnknown: number
}

/** Returns all counters set to 0. */
export function newJoinCounters(): JoinCounters {
  return {
    framesJoined: 0,
    framesUnjoined: 0,
    framesOverflowed: 0,
    framesAfterClose: 0,
    framesFallback: 0,
    packetsAlone: 0,
    packetsLate: 0,
    packetsUnseen: 0,
    mismatches: 0,
    connectionsUnplaced: 0,
    connectionsUnseen: 0,
    connectionsBlind: 0,
    connectionsOverflowed: 0,
    midstreamFound: 0,
    streamsForgotten: 0,
    packetsUnknown: 0
  }
}
