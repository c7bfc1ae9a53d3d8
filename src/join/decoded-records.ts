// Records from placed frames alone: what is known of a connection is what its bytes say.

import { connectIdentity } from '../decode/mqtt-connect.js'
import { extractFeatures } from '../features/extractor.js'
import type { Peer, TrafficRecord } from '../record.js'
import type { MqttPacket, StreamFrame, TcpStream } from '../types.js'
import { DecodedJoin, type DecodedJoinCounters, type DecodedJoinOptions } from './decoded.js'
import { isOwnPacket, OWN_TOPIC_PREFIX } from './own-traffic.js'

const CONNECT = 1

/** How to decode, and what to leave out of the judgement. */
export interface DecodedRecordsOptions extends DecodedJoinOptions {
  /** Prefix of the topics on which the detection publishes. */
  ownPrefix?: string
  /** Whether a connection is the detection's own. */
  isOwn?(peer: Peer): boolean
}

/** Makes the record of each frame, in the order of the capture. */
export class DecodedRecords {
  private readonly join: DecodedJoin
  private readonly peers = new WeakMap<TcpStream, Peer>()
  private readonly ownPrefix: Uint8Array
  private readonly isOwn: (peer: Peer) => boolean

  constructor ({ ownPrefix = OWN_TOPIC_PREFIX, isOwn = () => false, ...options }: DecodedRecordsOptions = {}) {
    this.join = new DecodedJoin(options)
    this.ownPrefix = Buffer.from(ownPrefix)
    this.isOwn = isOwn
  }

  get counters (): DecodedJoinCounters {
    return this.join.counters
  }

  /** The record of the next frame; its payload may be a view of the frame's bytes. */
  record (streamFrame: StreamFrame): TrafficRecord {
    const { join, packet, completed, initiated } = this.join.push(streamFrame)
    const { stream, direction, frame } = streamFrame
    const peer = this.peerOf(stream)
    if (packet !== null && packet.header >> 4 === CONNECT) identify(peer, streamFrame, packet)
    return {
      frame: frame.number,
      seconds: frame.seconds,
      nanoseconds: frame.nanoseconds,
      features: extractFeatures(streamFrame, packet),
      join,
      direction,
      peer,
      packets: completed,
      initiated,
      own: (packet !== null && isOwnPacket(direction, packet, this.ownPrefix)) || this.isOwn(peer)
    }
  }

  private peerOf (stream: TcpStream): Peer {
    let peer = this.peers.get(stream)
    if (peer === undefined) {
      peer = { client: stream.client, broker: stream.broker, connection: null, clientId: null, username: null }
      this.peers.set(stream, peer)
    }
    return peer
  }
}

/** From a CONNECT that lies within one segment, as nearly all do. */
function identify (peer: Peer, { chunks, direction }: StreamFrame, { end, size }: MqttPacket): void {
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
