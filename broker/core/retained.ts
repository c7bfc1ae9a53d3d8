// Retained messages: in memory for fast lookup, and in the store.

import { messageOf, type Message, type MessageSource } from './message.js'
import { TopicTree } from './topic-tree.js'

/** Stores retained messages; an empty payload removes one [MQTT-3.3.1-10]. */
export interface RetainedStore {
  storeRetained(packet: MessageSource): Promise<unknown>
  createRetainedStream(filter: string): AsyncIterable<MessageSource>
}

/** Limits for retained messages. */
export interface RetainedLimits {
  retainedMessages: number
  /** Bytes of topics, payloads and properties. */
  retainedBytes: number
}

/** The limit that a message exceeds. */
export type RetainedLimit = keyof RetainedLimits

/** Retained messages of all topics. */
export class RetainedMessages {
  readonly #messages = new TopicTree<Message>()
  /** Topics of the broker's own messages: the limits do not count them. */
  readonly #own = new Set<string>()
  #size = 0
  #payloadBytes = 0
  /** Messages and bytes that the limits count. */
  #limited = 0
  #limitedBytes = 0
  readonly #store: RetainedStore
  readonly #limits: RetainedLimits

  constructor(store: RetainedStore, limits: RetainedLimits) {
    this.#store = store
    this.#limits = limits
  }

  /** Number of retained messages. */
  get size(): number {
    return this.#size
  }

  /** Size of all payloads, bytes. */
  get bytes(): number {
    return this.#payloadBytes
  }

  /** Loads retained messages from the store. */
  async load(): Promise<void> {
    for await (const packet of this.#store.createRetainedStream('#')) {
      this.#set(
        messageOf({
          ...packet,
          properties: packet.properties ?? undefined,
          messageExpiry: packet.messageExpiry ?? undefined,
          encodedProperties: packet.encodedProperties ?? undefined
        })
      )
    }
  }

  /**
   * Retains a message; an empty payload removes the message of its topic.
   *
   * @returns the limit that is exceeded, if any; the topic then keeps its message
   */
  put(message: Message): RetainedLimit | undefined {
    const { topic, payload, qos, properties, encodedProperties, messageExpiry } = message
    const before = this.#messages.get(topic)
    if (payload.length === 0) {
      if (before === undefined) return undefined
      this.#remove(before)
    } else {
      const isOwn = message.clientId === undefined && topic.startsWith('$')
      const exceeded = isOwn ? undefined : this.#exceeded(message, before)
      if (exceeded !== undefined) return exceeded
      // A copy: a slice would keep the whole received chunk in memory.
      this.#set(
        messageOf({
          topic,
          payload: Buffer.from(payload),
          qos,
          retain: true,
          properties,
          encodedProperties: Buffer.from(encodedProperties),
          messageExpiry
        }),
        isOwn
      )
    }
    // `$SYS` messages are not stored: the broker publishes them again after a start.
    if (!topic.startsWith('$')) void this.#store.storeRetained(recordOf(message))
    return undefined
  }

  /** Returns the message of a topic; undefined if there is none, or it has expired [MQTT-3.3.2-5]. */
  get(topic: string): Message | undefined {
    const message = this.#messages.get(topic)
    if (message?.isExpired() !== true) return message
    this.#remove(message)
    if (!topic.startsWith('$')) void this.#store.storeRetained({ topic, payload: Buffer.alloc(0) })
    return undefined
  }

  /** Returns the topics with a retained message that match a filter. */
  topics(filter: string): string[] {
    return Array.from(this.#messages.matchedBy(filter), ({ topic }) => topic)
  }

  #exceeded(message: Message, before: Message | undefined): RetainedLimit | undefined {
    const replaced = before !== undefined && !this.#own.has(before.topic) ? before : undefined
    if (replaced === undefined && this.#limited >= this.#limits.retainedMessages) return 'retainedMessages'
    const grown = this.#limitedBytes + message.queuedBytes - (replaced?.queuedBytes ?? 0)
    return grown > this.#limits.retainedBytes ? 'retainedBytes' : undefined
  }

  #set(message: Message, isOwn = false): void {
    const before = this.#messages.get(message.topic)
    if (before !== undefined) this.#remove(before)
    this.#messages.set(message.topic, message)
    this.#size++
    this.#payloadBytes += message.payload.length
    if (isOwn) this.#own.add(message.topic)
    else {
      this.#limited++
      this.#limitedBytes += message.queuedBytes
    }
  }

  #remove(message: Message): void {
    this.#messages.delete(message.topic)
    this.#size--
    this.#payloadBytes -= message.payload.length
    if (this.#own.delete(message.topic)) return
    this.#limited--
    this.#limitedBytes -= message.queuedBytes
  }
}

/** Returns the record of a message: as in Aedes, plus the encoded properties in their order. */
function recordOf({ topic, payload, qos, properties, encodedProperties, messageExpiry }: Message): MessageSource {
  return {
    topic,
    payload,
    qos,
    retain: true,
    ...(properties !== undefined && { properties }),
    ...(encodedProperties.length > 0 && { encodedProperties }),
    ...(messageExpiry !== Infinity && { messageExpiry })
  }
}
