// Memory caps of the detection. Whatever exceeds a cap is dropped and counted in the status.

import type { FragmentLimits } from './decode/fragments.js'
import type { TcpStreamLimits } from './decode/tcp-streams.js'
import type { JoinLimits } from './join/limits.js'

/** The caps, each with the counter of what it dropped. */
export interface DetectionCaps {
  /** Open TCP connections followed by the tap (`tap.streams.streamsEvicted`). */
  streams: number
  /** Bytes of out-of-order segments per direction of a connection (`tap.streams.gapsForced`). */
  earlyBytes: number
  /** Bytes of out-of-order segments of all connections (`tap.streams.gapsForced`). */
  earlyBytesInAll: number
  /** Out-of-order segments per direction of a connection (`tap.streams.gapsForced`). */
  earlySegments: number
  /** Incomplete fragmented IP datagrams (`tap.fragments.fragmentsDropped`). */
  fragmentedDatagrams: number
  /** Bytes of their fragments (`tap.fragments.fragmentsDropped`). */
  fragmentBytes: number
  /** Frames that wait for the broker's packets (`join.framesOverflowed`). */
  heldFrames: number
  /** Maximum wait of a frame, ms (`join.framesUnjoined`). */
  holdMs: number
  /** Packets per connection that wait for their frames (`join.connectionsOverflowed`). */
  waitingPackets: number
  /** TCP connections that the broker has not accepted yet (`join.streamsForgotten`). */
  unclaimedStreams: number
  /** Bytes of the ring buffer between broker and detection, a power of two (`ring.dropped`). */
  ringBytes: number
}

/** Suits a busy broker on a small machine. */
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

/** Packets of a connection time out after this multiple of a frame's wait. */
const BLIND_FACTOR = 5

/** Returns the caps as limits of the join. */
export function joinLimits({ holdMs, heldFrames, waitingPackets, unclaimedStreams }: DetectionCaps): JoinLimits {
  return {
    holdMs,
    blindMs: BLIND_FACTOR * holdMs,
    pendingFrames: heldFrames,
    packetsPerConnection: waitingPackets,
    unboundStreams: unclaimedStreams
  }
}

/** Returns the caps as limits of the tap's decoders. */
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
