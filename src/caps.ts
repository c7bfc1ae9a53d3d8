// How much the detection may keep in memory at a time; whatever exceeds a cap is dropped and counted in the status.

import type { FragmentLimits } from './decode/fragments.js'
import type { TcpStreamLimits } from './decode/tcp-streams.js'
import type { JoinLimits } from './join/limits.js'

/** The caps; each names the counter that shows what it cost. */
export interface DetectionCaps {
  /** Open TCP connections that the tap follows (`tap.streams.streamsEvicted`). */
  streams: number
  /** Bytes of segments that came too early, each direction of each (`tap.streams.gapsForced`). */
  earlyBytes: number
  /** And of all connections together (`tap.streams.gapsForced`). */
  earlyBytesInAll: number
  /** How many such segments, each direction of each (`tap.streams.gapsForced`). */
  earlySegments: number
  /** IP datagrams in fragments (`tap.fragments.fragmentsDropped`). */
  fragmentedDatagrams: number
  /** Bytes of their fragments (`tap.fragments.fragmentsDropped`). */
  fragmentBytes: number
  /** Frames that wait for the broker (`join.framesOverflowed`). */
  heldFrames: number
  /** How long each waits at most, ms (`join.framesUnjoined`). */
  holdMs: number
  /** Packets that wait for their frames, each connection (`join.connectionsOverflowed`). */
  waitingPackets: number
  /** TCP connections that the broker has not accepted yet (`join.streamsForgotten`). */
  unclaimedStreams: number
  /** Bytes of the ring between the broker and the detection, a power of two (`ring.dropped`). */
  ringBytes: number
}

/** Enough for a busy broker on a small machine. */
export const DEFAULT_CAPS: Readonly<DetectionCaps> = Object.freeze({
  streams: 65_536,
  earlyBytes: 1_048_576,
  earlyBytesInAll: 33_554_432,
  earlySegments: 1_024,
  fragmentedDatagrams: 256,
  fragmentBytes: 8_388_608,
  heldFrames: 20_000,
  holdMs: 1_000,
  waitingPackets: 10_000,
  unclaimedStreams: 4_096,
  ringBytes: 4_194_304
})

/** Packets of a connection are given up after so many times the time for which a frame waits. */
const BLIND_FACTOR = 5

/** The caps as the join takes them. */
export function joinLimits({ holdMs, heldFrames, waitingPackets, unclaimedStreams }: DetectionCaps): JoinLimits {
  return {
    holdMs,
    blindMs: BLIND_FACTOR * holdMs,
    pendingFrames: heldFrames,
    packetsPerConnection: waitingPackets,
    unboundStreams: unclaimedStreams
  }
}

/** The caps as the decoders of a tap take them. */
export function tapLimits({
  streams,
  earlyBytes,
  earlyBytesInAll,
  earlySegments,
  fragmentedDatagrams,
  fragmentBytes
}: DetectionCaps): { streams: Partial<TcpStreamLimits>; fragments: Partial<FragmentLimits> } {
  return {
    streams: { streams, heldBytes: earlyBytes, heldSegments: earlySegments, heldBytesTotal: earlyBytesInAll },
    fragments: { datagrams: fragmentedDatagrams, heldBytes: fragmentBytes }
  }
}
