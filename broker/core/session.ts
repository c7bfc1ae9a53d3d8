// One client's session: subscriptions, queue and unreleased QoS 2 messages.

import { receivedKey } from './records.js'
import { SessionQueue, type QueueOptions, type Receiver } from './session-queue.js'
import type { Store } from './store.js'
import type { Subscription } from './subscription.js'

const NO_BYTES = Buffer.alloc(0)

/** A session [MQTT-4.1.0]. */
export class Session {
  readonly subscriptions = new Map<string, Subscription>()
  /** Filters of its shared subscriptions. */
  readonly shares = new Set<string>()
  /** Packet identifiers of QoS 2 messages that its client has not released. */
  readonly received = new Set<number>()
  readonly queue: SessionQueue
  /** Session Expiry Interval, seconds. */
  expiry = 0
  /** When its client disconnected, epoch ms; 0: connected. */
  disconnectedAt = 0
  /** Whether it is in the store: it is persistent, or was in an earlier connection. */
  isStored = false
  readonly #store: Store

  /** @param start last sequence number of an earlier session with the same client id */
  constructor(
    readonly id: string,
    options: QueueOptions,
    readonly start = 0
  ) {
    this.#store = options.store
    this.queue = new SessionQueue(this, options)
  }

  /** The connection of its client; undefined while it is offline. */
  get receiver(): Receiver | undefined {
    return this.queue.receiver
  }

  /** Records an incoming QoS 2 message; returns false for a repetition [MQTT-4.3.3-10]. */
  addReceived(packetId: number): boolean {
    if (this.received.has(packetId)) return false
    this.received.add(packetId)
    if (this.isStored) this.#store.put(receivedKey(this.id, packetId), NO_BYTES)
    return true
  }

  /** Handles a PUBREL; returns whether the message was known. */
  removeReceived(packetId: number): boolean {
    if (!this.received.delete(packetId)) return false
    if (this.isStored) this.#store.del(receivedKey(this.id, packetId))
    return true
  }
}
