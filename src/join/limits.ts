// What the join may hold back, and what it counts.

/** Bounds of what the join holds back; each overflow is counted. */
export interface JoinLimits {
  /** How long a frame waits for the broker to read it, and an accepted connection for its frames, ms. */
  holdMs: number
  /** How long a packet waits for its frame before its connection is given up as unseen by the tap, ms. */
  blindMs: number
  /** Frames held back in all. */
  pendingFrames: number
  /** Packets waiting for their frames, per connection and direction. */
  packetsPerConnection: number
  /** Streams seen by the tap for which the broker has accepted no connection yet. */
  unboundStreams: number
}

/** Defaults that hold a busy broker's jitter and bound what an attacker can make us keep. */
export const DEFAULT_JOIN_LIMITS: JoinLimits = Object.freeze({
  holdMs: 1_000,
  blindMs: 5_000,
  pendingFrames: 20_000,
  packetsPerConnection: 10_000,
  unboundStreams: 4_096
})

/** What the status shows of the join. */
export interface JoinCounters {
  /** Frames that carry MQTT bytes and got the broker's word on them. */
  framesJoined: number
  /** Frames with MQTT bytes that were given up: unknown connection, or the broker did not tell in time. */
  framesUnjoined: number
  /** Frames given up because more were held back than `pendingFrames`; they are among those above. */
  framesOverflowed: number
  /** Frames that came when the broker had closed the connection: it never read them. */
  framesAfterClose: number
  /** Frames of connections that are judged by their packets instead. */
  framesFallback: number
  /** Packets without a frame, scored as records of their own. */
  packetsAlone: number
  /** Packets whose frame had been given up before they came; records of their own. */
  packetsLate: number
  /** Packets whose frame was never captured, or could not be placed before a gap was given up; records of their own. */
  packetsUnseen: number
  /** Connections that were thought joined and turned out not to match; they are judged by their packets. */
  mismatches: number
  /**
   * Connections over TLS or WebSocket whose packets could not be placed in the stream; they are judged by their
   * packets.
   */
  connectionsUnplaced: number
  /** Connections of which the tap saw no beginning in time; they are judged by their packets. */
  connectionsUnseen: number
  /**
   * Times that a connection's frames ceased to come, or fell too far behind; its packets are records until they come
   * again.
   */
  connectionsBlind: number
  /** Connections with more packets waiting than `packetsPerConnection`; they are judged by their packets. */
  connectionsOverflowed: number
  /**
   * Directions that are joined again: of connections older than the tap, found in mid-stream, and of those that it was
   * behind.
   */
  midstreamFound: number
  /** Streams forgotten because more than `unboundStreams` waited for the broker to accept them. */
  streamsForgotten: number
  /** Packet entries for connections nobody announced. */
  packetsUnknown: number
}

/** All counters at nought. */
export function noJoinCounts(): JoinCounters {
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
