// Retained messages: kept in memory to be found quickly, written to the store to last.

import { Readable } from 'node:stream'
import type { AedesPublishPacket } from 'aedes'

/** The part of the persistence that keeps retained messages; an empty payload removes one [MQTT-3.3.1-10]. */
export interface RetainedStore {
  storeRetained (packet: AedesPublishPacket): Promise<unknown>
  createRetainedStream (filter: string): AsyncIterable<AedesPublishPacket>
}

/** What is kept of a message. */
type Retained = Pick<AedesPublishPacket, 'cmd' | 'topic' | 'payload' | 'qos' | 'retain' | 'properties'> & {
  /** When it loses its meaning, epoch milliseconds. */
  messageExpiry?: number
}

/**
 * Retained messages in front of a store. The store finds them only by reading all of them, for each filter
 * of a SUBSCRIBE once: a small packet with many filters would keep the broker busy for minutes.
 */
export class RetainedMessages {
  private readonly messages = new Map<string, Retained>()

  private payloadBytes = 0

  constructor (private readonly store: RetainedStore) {}

  /** How many there are. */
  get size (): number {
    return this.messages.size
  }

  /** Their payloads, bytes. */
  get bytes (): number {
    return this.payloadBytes
  }

  /** Reads what the store holds. */
  async load (): Promise<void> {
    for await (const packet of this.store.createRetainedStream('#')) this.keep(packet)
  }

  /** Keeps a message, or removes the one of its topic; topics of the broker itself ($SYS) are not written. */
  async storeRetained (packet: AedesPublishPacket): Promise<void> {
    if (packet.payload.length > 0) this.keep(packet)
    else {
      this.payloadBytes -= this.sizeOf(packet.topic)
      this.messages.delete(packet.topic)
    }
    if (!packet.topic.startsWith('$')) await this.store.storeRetained(packet)
  }

  /** The messages that match one of the filters, each once. */
  createRetainedStreamCombi (filters: readonly string[]): Readable {
    return Readable.from(this.matching(filters))
  }

  private keep (packet: AedesPublishPacket & { messageExpiry?: number }): void {
    const { cmd, topic, qos, retain, properties, messageExpiry } = packet
    // A copy: a small payload would hold on to the large chunk that it came in.
    const payload = Buffer.from(packet.payload)
    this.payloadBytes += payload.length - this.sizeOf(topic)
    this.messages.set(topic, { cmd, topic, payload, qos, retain, properties, messageExpiry })
  }

  private sizeOf (topic: string): number {
    return this.messages.get(topic)?.payload.length ?? 0
  }

  private * matching (filters: readonly string[]): Generator<Retained> {
    const exact = new Set(filters.filter(filter => !/[+#]/.test(filter)))
    for (const topic of exact) {
      const message = this.messages.get(topic)
      if (message !== undefined) yield message
    }
    const wild = [...new Set(filters.filter(filter => !exact.has(filter)))].map(filter => filter.split('/'))
    if (wild.length === 0) return
    for (const [topic, message] of this.messages) {
      if (exact.has(topic)) continue
      const levels = topic.split('/')
      if (wild.some(filter => matches(filter, levels))) yield message
    }
  }
}

/** Whether a filter matches a topic, both split into levels [MQTT-4.7.1]. */
export function matches (filter: readonly string[], topic: readonly string[]): boolean {
  // Wildcards at the start leave the broker's own topics out [MQTT-4.7.2-1].
  if (topic[0]?.startsWith('$') && (filter[0] === '#' || filter[0] === '+')) return false
  for (const [index, level] of filter.entries()) {
    if (level === '#') return true
    if (index >= topic.length || (level !== '+' && level !== topic[index])) return false
  }
  return filter.length === topic.length
}
