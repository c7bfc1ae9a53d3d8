// The stored queue of one session: records of messages, and the mark up to which they were sent.

import {
  decodeQueued,
  encodeQueued,
  encodeSent,
  keyOf,
  prefixOf,
  QUEUE,
  queueKey,
  queueStart,
  readQueueKey,
  RELEASED_RECORD,
  SENT,
  under,
  type QueuedRecord
} from './records.js'
import type { Entry, Store } from './store.js'

/** A QoS 1 or 2 message in the queue or the in-flight window. */
export interface Queued extends QueuedRecord {
  sequence: number
  size: number
  /** The batch that stores it; 0: not stored. */
  batch: number
  /** Whether the client has received it [MQTT-4.3.3]: only its PUBREL is left to send. */
  isReleased: boolean
}

/** Identifies a record. */
type Position = Pick<Queued, 'sequence' | 'size'>

/** The session that a queue belongs to. */
interface Owner {
  readonly id: string
  readonly isStored: boolean
}

/** Stores the queue of a session. Changes of a session that is not stored have no effect. */
export class StoredQueue {
  readonly #store: Store
  readonly #session: Owner
  readonly #prefix: string
  /** Last sequence number that is stored as sent, or will be with batch `#markedIn`. */
  #markedUpTo: number
  #markedIn = 0

  /** @param start last sequence number of an earlier session with the same client id */
  constructor(store: Store, session: Owner, start: number) {
    this.#store = store
    this.#session = session
    this.#prefix = prefixOf(QUEUE, session.id)
    this.#markedUpTo = start
  }

  /** Last sequence number that is marked as sent. */
  get markedUpTo(): number {
    return this.#markedUpTo
  }

  /** Sets the mark that an earlier run has stored. */
  restoreMark(sequence: number): void {
    this.#markedUpTo = sequence
  }

  add(queued: Queued): void {
    if (!this.#session.isStored) return
    this.#store.add(queueKey(this.#prefix, queued.sequence, queued.size), encodeQueued(queued))
    queued.batch = this.#store.batch
  }

  /** Replaces a message by the record that only its PUBREL is left to send. */
  release({ sequence, size }: Position): void {
    if (this.#session.isStored) this.#store.put(queueKey(this.#prefix, sequence, size), RELEASED_RECORD)
  }

  delete({ sequence, size }: Position): void {
    if (this.#session.isStored) this.#store.del(queueKey(this.#prefix, sequence, size))
  }

  /** Marks messages up to a sequence number as sent: at most one record per batch. */
  mark(sequence: number): void {
    this.#markedUpTo = Math.max(this.#markedUpTo, sequence)
    if (!this.#session.isStored || this.#markedIn === this.#store.batch) return
    this.#markedIn = this.#store.batch
    this.#store.put(keyOf(SENT, this.#session.id), () => encodeSent(this.#markedUpTo))
  }

  /** Yields records from a sequence number on. */
  entries(from: number, limit?: number): AsyncGenerator<Entry> {
    return this.#store.entries({
      gte: queueStart(this.#prefix, from),
      lt: under(this.#prefix).lt,
      ...(limit !== undefined && { limit })
    })
  }

  /**
   * Returns messages of shared subscriptions that another member may receive: those not sent, and sent QoS 1 messages
   * that are not acknowledged.
   *
   * @param to last sequence number
   * @param sentUpTo last sequence number that was sent
   */
  async sharedMessages(from: number, to: number, sentUpTo: number): Promise<QueuedRecord[]> {
    const found: QueuedRecord[] = []
    for await (const [key, value] of this.entries(from)) {
      const { sequence } = readQueueKey(key)
      if (sequence > to) break
      const record = decodeQueued(value)
      if (record === undefined || record.share === '' || record.message.isExpired()) continue
      if (record.qos === 1 || sequence > sentUpTo) found.push(record)
    }
    return found
  }

  /** Removes all records up to a sequence number. */
  async drop(to: number): Promise<void> {
    for await (const key of this.#store.keys(under(this.#prefix))) {
      const { sequence } = readQueueKey(key)
      if (sequence > to) break
      this.#store.del(key)
    }
  }
}
