// Builds records from frames alone: connection data comes from the captured bytes.

import { connectIdentity } from '../decode/mqtt-connect.js'
import { PacketType } from '../decode/packet-types.js'
import { ContextTracker } from '../features/context.js'
import { extractFeatures } from '../features/extractor.js'
import type { RecordFeatures } from '../features/schema.js'
import type { Peer, TrafficRecord } from '../record.js'
import type { MqttPacket, StreamFrame, TcpStream } from '../types.js'
import { DecodedJoin, type DecodedJoinCounters, type DecodedJoinOptions } from './decoded.js'
import { OwnFrames } from './own-traffic.js'

/** Options for decoding, and for traffic that is not scored. */
export interface DecodedRecordsOptions extends DecodedJoinOptions {
  /**
   * Whether to compute the context columns and to identify the detection's own messages, which is slower.
   *
   * @default true
   */
  context?: boolean
  /** Prefix of the detection's topics. The default is that of the Artemis broker. */
  ownPrefix?: string
  /** Whether a connection belongs to the detection itself. */
  isOwn?: (peer: Peer) => boolean
}

/** Builds the record of each frame, in capture order. */
export class DecodedRecords {
  readonly #join: DecodedJoin
  readonly #peers = new WeakMap<TcpStream, Peer>()
  readonly #context: ContextTracker | null
  readonly #own: OwnFrames | null
  readonly #isOwn: (peer: Peer) => boolean

  constructor({ context = true, ownPrefix, isOwn = () => false, ...options }: DecodedRecordsOptions = {}) {
    this.#join = new DecodedJoin(options)
    this.#context = context ? new ContextTracker() : null
    this.#own = context ? new OwnFrames(ownPrefix === undefined ? undefined : [Buffer.from(ownPrefix)]) : null
    this.#isOwn = isOwn
  }

  get counters(): DecodedJoinCounters {
    return this.#join.counters
  }

  /** Context entries dropped because a table was full. */
  get contextCounters(): Partial<ContextTracker['counters']> {
    return this.#context?.counters ?? {}
  }

  /** Returns the record of the next frame. Its payload may be a view of the frame's bytes. */
  record(streamFrame: StreamFrame): TrafficRecord {
    const { join, packet, packets, partial, completed, initiated } = this.#join.push(streamFrame)
    const { stream, direction, frame } = streamFrame
    const peer = this.#peerOf(stream)
    if (packet !== null && packet.header >> 4 === PacketType.CONNECT) identify(peer, streamFrame, packet)
    const own = this.#isOwn(peer) || (this.#own !== null && this.#own.has(streamFrame, packets, partial))
    const features: RecordFeatures = extractFeatures(streamFrame, packet)
    if (this.#context !== null && !own) features.context = this.#context.frame(streamFrame, { join, packets, partial })
    return {
      frame: frame.number,
      seconds: frame.seconds,
      nanoseconds: frame.nanoseconds,
      features,
      join,
      direction,
      peer,
      packets: completed,
      initiated,
      own
    }
  }

  #peerOf(stream: TcpStream): Peer {
    let peer = this.#peers.get(stream)
    if (peer === undefined) {
      peer = { client: stream.client, broker: stream.broker, connection: null, clientId: null, username: null }
      this.#peers.set(stream, peer)
    }
    return peer
  }
}

/** Reads the identity from a CONNECT within a single segment, as is usual. */
function identify(peer: Peer, { chunks, direction }: StreamFrame, { end, size }: MqttPacket): void {
  if (direction !== 'in' || peer.clientId !== null) return
  for (const { start, length, bytes } of chunks) {
    const at = end - size - start
    if (bytes === null || at < 0 || end > start + length) continue
    const identity = connectIdentity(bytes.subarray(at, at + size))
    if (identity === null) continue
    peer.clientId = identity.clientId
    peer.username = identity.username
  }
}
