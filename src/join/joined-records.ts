// Builds the records of the live join: from a frame with its packets, or from a single packet.

import { ContextTracker } from '../features/context.js'
import { extractFeatures } from '../features/extractor.js'
import { clientEndpoint, type Peer, type TrafficRecord } from '../record.js'
import type { Direction, JoinKind, MqttPacket, PartialPacket, StreamFrame } from '../types.js'
import type { Connection } from './connection.js'
import { isInitiated } from '../decode/initiated.js'
import { OwnFrames } from './own-traffic.js'
import { packetRecord } from './packet-record.js'

/** How a frame was joined. */
export interface JoinedFrame {
  join: JoinKind
  peer: Peer
  /** The known packets that the frame completes. */
  packets: readonly MqttPacket[]
  /** The packet shown in the record. */
  first: MqttPacket | null
  /** The incomplete packet at its end, if known. */
  partial: PartialPacket | null
}

/** Builds records in call order and tracks their context. */
export class JoinedRecords {
  readonly #context = new ContextTracker()
  readonly #own = new OwnFrames()
  readonly #onRecord: (record: TrafficRecord) => void

  constructor(onRecord: (record: TrafficRecord) => void) {
    this.#onRecord = onRecord
  }

  /** Context entries dropped because a table was full. */
  get contextCounters(): ContextTracker['counters'] {
    return this.#context.counters
  }

  /**
   * Emits the record of a packet without a frame.
   *
   * @param timeMs when the packet passed, epoch milliseconds
   */
  packet(connection: Connection, direction: Direction, timeMs: number, packet: MqttPacket): void {
    this.#onRecord(packetRecord(connection, connection.peer, direction, timeMs, packet, this.#context))
  }

  frame(streamFrame: StreamFrame, { join, peer, packets, first, partial }: JoinedFrame): void {
    const { frame, direction } = streamFrame
    const own = this.#own.has(streamFrame, packets, partial)
    const features = extractFeatures(streamFrame, first)
    this.#onRecord({
      frame: frame.number,
      seconds: frame.seconds,
      nanoseconds: frame.nanoseconds,
      // If not all packets are known, the record shows none, so the context must not count them.
      features: own
        ? features
        : {
            ...features,
            context: this.#context.frame(streamFrame, {
              join,
              packets: first === null ? [] : packets,
              partial,
              client: clientEndpoint(peer)
            })
          },
      join,
      direction,
      peer,
      packets: packets.length,
      initiated: packets.filter(isInitiated).length,
      own
    })
  }
}
