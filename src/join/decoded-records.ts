// Records from placed frames alone: what is known of a connection is what its bytes say.

import { connectIdentity } from '../decode/mqtt-connect.js'
import { ContextTracker } from '../features/context.js'
import { extractFeatures } from '../features/extractor.js'
import type { RecordFeatures } from '../features/schema.js'
import type { Peer, TrafficRecord } from '../record.js'
import type { MqttPacket, StreamFrame, TcpStream } from '../types.js'
import { DecodedJoin, type DecodedJoinCounters, type DecodedJoinOptions } from './decoded.js'
import { OwnFrames } from './own-traffic.js'

const CONNECT = 1

/** How to decode, and what to leave out of the judgement. */
export interface DecodedRecordsOptions extends DecodedJoinOptions {
  /**
   * Whether connections are followed for the context columns and the detection's own messages told, which takes its
   * time; true unless said otherwise.
   */
  context?: boolean
  /** Prefix of the topics on which the detection publishes; those of a broker of ours where left out. */
  ownPrefix?: string
  /** Whether a connection is the detection's own. */
  isOwn?: (peer: Peer) => boolean
}

/** Makes the record of each frame, in the order of the capture. */
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

  /** What the context forgot for want of room. */
  get contextCounters(): Partial<ContextTracker['counters']> {
    return this.#context?.counters ?? {}
  }

  /** The record of the next frame; its payload may be a view of the frame's bytes. */
  record(streamFrame: StreamFrame): TrafficRecord {
    const { join, packet, packets, begun, completed, initiated } = this.#join.push(streamFrame)
    const { stream, direction, frame } = streamFrame
    const peer = this.#peerOf(stream)
    if (packet !== null && packet.header >> 4 === CONNECT) identify(peer, streamFrame, packet)
    const own = this.#isOwn(peer) || (this.#own !== null && this.#own.has(streamFrame, packets, begun))
    const features: RecordFeatures = extractFeatures(streamFrame, packet)
    if (this.#context !== null && !own) features.context = this.#context.frame(streamFrame, { join, packets, begun })
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

/** From a CONNECT that lies within one segment, as nearly all do. */
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
