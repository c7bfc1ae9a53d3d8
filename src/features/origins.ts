// Finds the records that published what another record forwards. Messages are matched by topic and payload.

import { evictOldest } from '../bounded-map.js'
import { messageHash } from '../decode/message-hash.js'
import { PacketType } from '../decode/packet-types.js'
import type { MqttPacket, PartialPacket } from '../types.js'
import type { RecordSummary } from './frame-counts.js'

/** Messages stored, about 4 MB. Most are forwarded within moments, retained ones later. */
const MESSAGES_CAP = 32_768

const NO_PAYLOAD = new Uint8Array(0)
const NONE: readonly undefined[] = Object.freeze([])

/** Stores for each message the record that published it last, over all connections. */
export class Origins {
  /** Messages dropped because the table was full. */
  forgotten = 0
  readonly #messages = new Map<number, number>()
  /** The same by topic and length alone, for records with a part of a message. */
  readonly #outlines = new Map<number, number>()

  /**
   * Adds a record.
   *
   * @returns for each packet to a client, or for the incomplete packet in the record, the record that
   *   published it. For a will: the record of its CONNECT. undefined if the packet is not a message, or its origin is
   *   unknown
   */
  add({ direction, packets, partial }: RecordSummary, record: number): readonly (number | undefined)[] {
    if (direction === 'in') {
      for (const packet of packets) this.#addMessage(packet, record)
      return NONE
    }
    if (packets.length > 0)
      return packets.map(packet => (isPublish(packet) ? this.#messages.get(hashOf(packet)) : undefined))
    return partial !== null && hasOutline(partial) ? [this.#outlines.get(outlineHash(partial))] : NONE
  }

  #addMessage(packet: MqttPacket, record: number): void {
    if (packet.willHash !== 0) this.#set(this.#messages, packet.willHash, record)
    if (!isPublish(packet)) return
    this.#set(this.#messages, hashOf(packet), record)
    this.#set(this.#outlines, outlineHash(packet), record)
  }

  #set(records: Map<number, number>, hash: number, record: number): void {
    // Reinsertion moves the entry to the end, so the first is the one published longest ago.
    records.delete(hash)
    if (evictOldest(records, MESSAGES_CAP)) this.forgotten++
    records.set(hash, record)
  }
}

type Outline = PartialPacket & { topic: Uint8Array; payloadLength: number }
type Publish = MqttPacket & { topic: Uint8Array; payload: Uint8Array }

/** Whether the packet is a PUBLISH with known topic and payload length. */
export function hasOutline(packet: PartialPacket): packet is Outline {
  return packet.header >> 4 === PacketType.PUBLISH && packet.topic !== null && packet.payloadLength !== null
}

function isPublish(packet: MqttPacket): packet is Publish {
  return packet.header >> 4 === PacketType.PUBLISH && packet.topic !== null && packet.payload !== null
}

function hashOf({ topic, payload, payloadLength }: Publish): number {
  return messageHash(topic, payload, payloadLength)
}

function outlineHash({ topic, payloadLength }: Pick<Outline, 'topic' | 'payloadLength'>): number {
  return messageHash(topic, NO_PAYLOAD, payloadLength)
}
