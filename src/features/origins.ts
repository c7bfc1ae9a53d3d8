// Which records published what another passes on: a message is known again by its topic and payload.

import { messageHash } from '../decode/message-hash.js'
import type { MqttPacket, PacketBegun } from '../types.js'
import type { RecordSummary } from './frame-counts.js'

/** Messages remembered, about 4 MB: they are passed on within moments, retained ones now and then. */
const MESSAGES_CAP = 32_768

const PUBLISH = 3
const NO_PAYLOAD = new Uint8Array(0)
const NONE: readonly undefined[] = Object.freeze([])

/** Remembers with which record each message came last, over whichever connection. */
export class Origins {
  /** Messages forgotten for want of room. */
  forgotten = 0
  readonly #messages = new Map<number, number>()
  /** The same by topic and length alone: a part of a message shows no more. */
  readonly #outlines = new Map<number, number>()

  /**
   * Takes a record in.
   * @returns for each packet that it carries to a client, or for the one that it carries a part of, the record that
   * published it, a will by that of its CONNECT; undefined where it is no message, or not known
   */
  see({ direction, packets, begun }: RecordSummary, record: number): readonly (number | undefined)[] {
    if (direction === 'in') {
      for (const packet of packets) this.#remember(packet, record)
      return NONE
    }
    if (packets.length > 0)
      return packets.map(packet => (isPublish(packet) ? this.#messages.get(hashOf(packet)) : undefined))
    return begun !== null && hasOutline(begun) ? [this.#outlines.get(outlineHash(begun))] : NONE
  }

  #remember(packet: MqttPacket, record: number): void {
    if (packet.willHash !== 0) this.#set(this.#messages, packet.willHash, record)
    if (!isPublish(packet)) return
    this.#set(this.#messages, hashOf(packet), record)
    this.#set(this.#outlines, outlineHash(packet), record)
  }

  #set(records: Map<number, number>, hash: number, record: number): void {
    // Set anew it stands last, so that the first is the one that was published the longest ago.
    if (!records.delete(hash) && records.size >= MESSAGES_CAP) {
      const [oldest] = records.keys()
      records.delete(oldest)
      this.forgotten++
    }
    records.set(hash, record)
  }
}

type Outline = PacketBegun & { topic: Uint8Array; payloadLength: number }
type Publish = MqttPacket & { topic: Uint8Array; payload: Uint8Array }

/** Whether it is a message of which all is known but its payload. */
export function hasOutline(packet: PacketBegun): packet is Outline {
  return packet.header >> 4 === PUBLISH && packet.topic !== null && packet.payloadLength !== null
}

function isPublish(packet: MqttPacket): packet is Publish {
  return packet.header >> 4 === PUBLISH && packet.topic !== null && packet.payload !== null
}

function hashOf({ topic, payload, payloadLength }: Publish): number {
  return messageHash(topic, payload, payloadLength)
}

function outlineHash({ topic, payloadLength }: Pick<Outline, 'topic' | 'payloadLength'>): number {
  return messageHash(topic, NO_PAYLOAD, payloadLength)
}
