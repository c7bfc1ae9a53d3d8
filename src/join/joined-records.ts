// What the join decides, as records: a frame with the packets that it completes, or a packet by itself.

import { ContextTracker } from '../features/context.js'
import { extractFeatures } from '../features/extractor.js'
import { originOf, type Peer, type TrafficRecord } from '../record.js'
import type { Direction, JoinKind, MqttPacket, PacketBegun, StreamFrame } from '../types.js'
import type { Connection } from './flow-table.js'
import { isInitiative } from './initiative.js'
import { OwnFrames } from './own-traffic.js'
import { packetRecord } from './packet-record.js'

/** How a frame was joined. */
export interface JoinedFrame {
  join: JoinKind
  peer: Peer
  /** Those that the frame completes, as far as they are known. */
  packets: readonly MqttPacket[]
  /** The one that the record shows. */
  first: MqttPacket | null
  /** The one of which it carries a part beyond these, where that is known. */
  begun: PacketBegun | null
}

/** Makes records in the order in which it is called, and follows their context. */
export class JoinedRecords {
  readonly #context = new ContextTracker()
  readonly #own = new OwnFrames()
  readonly #onRecord: (record: TrafficRecord) => void

  constructor(onRecord: (record: TrafficRecord) => void) {
    this.#onRecord = onRecord
  }

  /** What the context forgot for want of room. */
  get contextCounters(): ContextTracker['counters'] {
    return this.#context.counters
  }

  /**
   * A packet without a frame.
   *
   * @param timeMs when it went by, epoch milliseconds
   */
  packet(connection: Connection, direction: Direction, timeMs: number, packet: MqttPacket): void {
    this.#onRecord(packetRecord(connection, connection.peer, direction, timeMs, packet, this.#context))
  }

  frame(streamFrame: StreamFrame, { join, peer, packets, first, begun }: JoinedFrame): void {
    const { frame, direction } = streamFrame
    const own = this.#own.has(streamFrame, packets, begun)
    const features = extractFeatures(streamFrame, first)
    this.#onRecord({
      frame: frame.number,
      seconds: frame.seconds,
      nanoseconds: frame.nanoseconds,
      // Of packets that are not all known the context learns nothing, as the record shows none.
      features: own
        ? features
        : {
            ...features,
            context: this.#context.frame(streamFrame, {
              join,
              packets: first === null ? [] : packets,
              begun,
              client: originOf(peer)
            })
          },
      join,
      direction,
      peer,
      packets: packets.length,
      initiated: packets.filter(isInitiative).length,
      own
    })
  }
}
