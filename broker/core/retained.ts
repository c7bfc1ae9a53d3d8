// Retained messages: kept in memory to be found quickly, written to the store to last.

import { messageOf, type Message, type MessageSource } from './message.js'
import { TopicTree } from './topic-tree.js'

/** The part of the persistence that keeps retained messages; an empty payload removes one [MQTT-3.3.1-10]. */
export interface RetainedStore {
  storeRetained(packet: MessageSource): Promise<unknown>
  createRetainedStream(filter: string): AsyncIterable<MessageSource>
}

/** How many there may be. */
export interface RetainedLimits {
  retainedMessages: number
  /** Bytes of topics, payloads and properties. */
  retainedBytes: number
}

/** Which limit a message goes beyond. */
export type RetainedLimit = keyof RetainedLimits

/** The retained messages of all topics. */
export class RetainedMessages {
  readonly #messages = new TopicTree<Message>()
  /** Topics of what the broker tells of itself: they take no room of what clients keep. */
  readonly #own = new Set<string>()
  #size = 0
  #payloadBytes = 0
  /** What the limits count. */
  #limited = 0
  #limitedBytes = 0
  readonly #store: RetainedStore
  readonly #limits: RetainedLimits

  constructor(store: RetainedStore, limits: RetainedLimits) {
    this.#store = store
    this.#limits = limits
  }

  /** How many there are. */
  get size(): number {
    return this.#size
  }

  /** Their payloads, bytes. */
  get bytes(): number {
    return this.#payloadBytes
  }

  /** Reads what the store holds. */
  async load(): Promise<void> {
    for await (const packet of this.#store.createRetainedStream('#')) {
      this.#keep(
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
   * Keeps a message, or removes the one of its topic.
   *
   * @returns the limit that kept it out; the topic then has the message it had
   */
  put(message: Message): RetainedLimit | undefined {
    const { topic, payload, qos, properties, encodedProperties, messageExpiry } = message
    const before = this.#messages.get(topic)
    if (payload.length === 0) {
      if (before === undefined) return undefined
      this.#forget(before)
    } else {
      const isOwn = message.clientId === undefined && topic.startsWith('$')
      const exceeded = isOwn ? undefined : this.#exceeded(message, before)
      if (exceeded !== undefined) return exceeded
      // A copy: a small payload would hold on to the large chunk that it came in.
      this.#keep(
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
    // What the broker tells of itself is as old as the broker.
    if (!topic.startsWith('$')) void this.#store.storeRetained(recordOf(message))
    return undefined
  }

  /** The message of a topic; undefined where there is none, or its time is over [MQTT-3.3.2-5]. */
  get(topic: string): Message | undefined {
    const message = this.#messages.get(topic)
    if (message?.isExpired() !== true) return message
    this.#forget(message)
    if (!topic.startsWith('$')) void this.#store.storeRetained({ topic, payload: Buffer.alloc(0) })
    return undefined
  }

  /** The topics with a message that a filter matches. */
  topics(filter: string): string[] {
    return Array.from(this.#messages.matchedBy(filter), ({ topic }) => topic)
  }

  #exceeded(message: Message, before: Message | undefined): RetainedLimit | undefined {
    const replaced = before !== undefined && !this.#own.has(before.topic) ? before : undefined
    if (replaced === undefined && this.#limited >= this.#limits.retainedMessages) return 'retainedMessages'
    const grown = this.#limitedBytes + message.queuedBytes - (replaced?.queuedBytes ?? 0)
    return grown > this.#limits.retainedBytes ? 'retainedBytes' : undefined
  }

  #keep(message: Message, isOwn = false): void {
    const before = this.#messages.get(message.topic)
    if (before !== undefined) this.#forget(before)
    this.#messages.set(message.topic, message)
    this.#size++
    this.#payloadBytes += message.payload.length
    if (isOwn) this.#own.add(message.topic)
    else {
      this.#limited++
      this.#limitedBytes += message.queuedBytes
    }
  }

  #forget(message: Message): void {
    this.#messages.delete(message.topic)
    this.#size--
    this.#payloadBytes -= message.payload.length
    if (this.#own.delete(message.topic)) return
    this.#limited--
    this.#limitedBytes -= message.queuedBytes
  }
}

/** What is stored of a message: as Aedes stores it, and the properties in their order. */
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
