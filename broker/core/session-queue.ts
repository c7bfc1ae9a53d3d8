// Queue and in-flight window of one session: QoS 1 and 2 messages until they are acknowledged.

import { setTimeout as pause } from 'node:timers/promises'
import { Message, messageOf } from './message.js'
import { decodeQueued, packetIdOf, readQueueKey, type QueuedRecord } from './records.js'
import type { Session } from './session.js'
import type { Store } from './store.js'
import { StoredQueue, type Queued } from './stored-queue.js'
import type { Delivery } from './wire.js'

/** The connection of a client, as its session's queue uses it. */
export interface Receiver {
  /** Maximum number of unacknowledged QoS 1 and 2 messages, at least 1. */
  readonly window: number
  /** Returns the message as authorised for this client now; undefined if it is denied. */
  forward(message: Message): Message | undefined
  /** Sends a PUBLISH; returns false if it exceeds the client's Maximum Packet Size [MQTT-3.1.2-24]. */
  send(delivery: Delivery): boolean
  /** Sends a PUBREL again. */
  release(packetId: number): void
  /** All messages sent in earlier connections are loaded: their acknowledgements may be read. */
  replayed(): void
}

/** Limits and callbacks of a queue. */
export interface QueueOptions {
  store: Store
  /** Maximum number of queued QoS 1 and 2 messages, and of their bytes. */
  queuedMessages: number
  queuedBytes: number
  /** A message was dropped because the queue is full. */
  onFull: (session: Session, limit: 'queuedMessages' | 'queuedBytes') => void
  backpressure: BackpressureSignals
  /** A member of shared subscriptions has an empty queue and room in its in-flight window. */
  onIdle: (session: Session) => void
  /** A stored message cannot be decoded, and was dropped. */
  onUnreadable: (session: Session, error: Error) => void
  /** The store cannot be read. The queue retries every second; this is called once until it succeeds. */
  onUnavailable: (session: Session, error: Error) => void
}

/** Notifications for {@link Backpressure}. */
export interface BackpressureSignals {
  /** Messages queued so far for connected clients. */
  queuedCount: number
  fallBehind(session: object): void
  keepUp(session: object): void
  catchUp(session: object): void
  acknowledge(session: object): void
}

/** A message for a session. */
export type QueuedMessage = Omit<QueuedRecord, 'share'> & { share?: string }

/** Stored messages read in one step for a reconnected client. */
const PAGE = 64
/** Interval of retries if the store cannot be read. */
const RETRY_MS = 1_000
const NO_BYTES = Buffer.alloc(0)
/** A message that the client has received. */
const RELEASED_MESSAGE: Omit<Queued, 'sequence' | 'size'> = {
  message: new Message('', NO_BYTES, 2, false),
  qos: 2,
  retain: false,
  identifiers: NO_BYTES,
  share: '',
  batch: 0,
  isReleased: true
}

/**
 * Queue and in-flight window of a session. A persistent session has its queue in the store, and in memory only while
 * its client is connected.
 */
export class SessionQueue {
  /** The connection of the client; undefined while it is offline. */
  receiver: Receiver | undefined
  readonly #session: Session
  readonly #options: QueueOptions
  readonly #stored: StoredQueue
  /** Messages to send, in order. */
  #waiting: Queued[] = []
  /** The in-flight window, by packet identifier. */
  readonly #inFlight = new Map<number, Queued>()
  /** Queued messages, including those only in the store, and their bytes. */
  #count = 0
  #bytes = 0
  /** Last sequence numbers assigned, sent in any connection, and read from the store in this connection. */
  #sequence: number
  #sentUpTo: number
  #readUpTo: number
  /** The message that was just authorised. */
  #authorised: { queued: Queued; allowed: Message } | undefined
  #isReading = false
  /** Whether the last read of the store failed. */
  #isUnavailable = false
  #isSending = false
  #awaitsStore = false

  constructor(session: Session, options: QueueOptions) {
    this.#session = session
    this.#options = options
    this.#stored = new StoredQueue(options.store, session, session.start)
    this.#sequence = this.#sentUpTo = this.#readUpTo = session.start
  }

  /** Number of queued messages, and their bytes. */
  get size(): { messages: number; bytes: number } {
    return { messages: this.#count, bytes: this.#bytes }
  }

  /** Last sequence number assigned. */
  get sequence(): number {
    return this.#sequence
  }

  /**
   * Whether messages sent in earlier connections are not loaded yet. Until they are, their acknowledgements could not
   * be matched.
   */
  get isReplaying(): boolean {
    return (
      this.#session.isStored &&
      this.#readUpTo < this.#sentUpTo &&
      !this.#isUnavailable &&
      !this.#options.store.isFailing
    )
  }

  /** Whether another QoS 1 or 2 message would be sent at once. */
  get hasRoomInWindow(): boolean {
    return this.receiver !== undefined && this.#count === 0 && this.#inFlight.size < this.receiver.window
  }

  /** Whether the queue is more than half full. */
  get isHalfFull(): boolean {
    const { queuedMessages, queuedBytes } = this.#options
    return this.#count * 2 > queuedMessages || this.#bytes * 2 > queuedBytes
  }

  /** Whether a message of this size would be queued. */
  hasRoom(size: number): boolean {
    return this.#exceeded(size) === undefined
  }

  /** Counts a message that an earlier run has stored. */
  restoreQueued(sequence: number, size: number): void {
    this.#sequence = Math.max(this.#sequence, sequence)
    this.#count++
    this.#bytes += size
  }

  /** Restores up to where an earlier run has sent messages. */
  restoreSent(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence)
    this.#sentUpTo = Math.max(this.#sentUpTo, sequence)
    this.#stored.restoreMark(this.#sentUpTo)
  }

  /**
   * Queues a QoS 1 or 2 message and sends it in order; returns false if it was dropped because the queue is full.
   *
   * @param allowed the message as authorised for the client now
   */
  enqueue({ message, qos, retain, identifiers, share = '' }: QueuedMessage, allowed = message): boolean {
    const size = message.queuedBytes
    const exceeded = this.#exceeded(size)
    if (exceeded !== undefined) {
      this.#options.onFull(this.#session, exceeded)
      return false
    }
    const queued: Queued = {
      message,
      qos,
      retain,
      identifiers,
      share,
      sequence: this.#nextSequence(),
      size,
      batch: 0,
      isReleased: false
    }
    const isBehind = this.receiver === undefined || this.#readUpTo < queued.sequence - 1
    this.#stored.add(queued)
    this.#count++
    this.#bytes += size
    // Stored messages that are not loaded yet are sent first.
    if (isBehind && this.#session.isStored) return true
    this.#readUpTo = queued.sequence
    this.#waiting.push(queued)
    // In the batch of the message itself, so that it need not wait for another one.
    const isSendable = this.receiver !== undefined && this.#inFlight.size + this.#waiting.length <= this.receiver.window
    if (qos === 2 && isSendable) this.#stored.mark(queued.sequence)
    this.#authorised = { queued, allowed }
    this.#send()
    this.#authorised = undefined
    // Still queued: copy it, because listeners that receive the message next may change it.
    if (this.#waiting.at(-1) === queued) queued.message = messageOf(message)
    if (this.#count > 0 && this.receiver !== undefined) {
      const { backpressure } = this.#options
      backpressure.queuedCount++
      if (this.isHalfFull) backpressure.fallBehind(this.#session)
    }
    return true
  }

  /** The client has connected: sends unacknowledged messages again, then queued ones [MQTT-4.4.0-1]. */
  attach(receiver: Receiver): void {
    this.receiver = receiver
    this.#read()
    this.#send()
  }

  /** The client has disconnected. */
  detach(): void {
    this.receiver = undefined
    this.#options.backpressure.catchUp(this.#session)
    if (!this.#session.isStored) return
    for (const { size } of this.#inFlight.values()) {
      this.#count++
      this.#bytes += size
    }
    this.#inFlight.clear()
    this.#waiting = []
    this.#readUpTo = this.#session.start
  }

  /** Handles a PUBACK; returns the acknowledged message, if any. */
  acknowledge(packetId: number): Message | undefined {
    const queued = this.#sent(packetId)
    if (queued?.qos !== 1) return undefined
    this.#finish(packetId, queued)
    return queued.message
  }

  /** Handles a PUBREC with an error code: the client rejects the message. */
  refuse(packetId: number): void {
    const queued = this.#sent(packetId)
    if (queued?.qos === 2) this.#finish(packetId, queued)
  }

  /** Handles a PUBREC; returns whether the message is known. */
  receive(packetId: number): boolean {
    const queued = this.#sent(packetId)
    if (queued?.qos !== 2) return false
    if (queued.isReleased) return true
    queued.isReleased = true
    this.#stored.release(queued)
    return true
  }

  /** Handles a PUBCOMP; returns the completed message, if any. */
  complete(packetId: number): Message | undefined {
    const queued = this.#inFlight.get(packetId)
    if (queued?.isReleased !== true) return undefined
    this.#finish(packetId, queued)
    return queued.message
  }

  /** Removes and returns the first unsent message of a shared subscription that another member may receive. */
  withdraw(share: string, isAllowed: (message: Message) => boolean): Message | undefined {
    if (this.#isSending) return undefined
    const index = this.#waiting.findIndex(
      queued => queued.share === share && queued.sequence > this.#sentUpTo && isAllowed(queued.message)
    )
    const withdrawn = index < 0 ? undefined : this.#waiting.splice(index, 1)[0]
    if (withdrawn === undefined) return undefined
    this.#count--
    this.#bytes -= withdrawn.size
    this.#stored.delete(withdrawn)
    return withdrawn.message
  }

  /**
   * Returns messages of shared subscriptions that another member may receive: those not sent, and sent QoS 1 messages
   * that are not acknowledged.
   */
  sharedMessages(): QueuedRecord[] {
    const sent = [...this.#inFlight.values()].filter(({ qos }) => qos === 1)
    return [...sent, ...this.#waiting].filter(({ share, message }) => share !== '' && !message.isExpired())
  }

  /** Like {@link sharedMessages}, for a stored session of an offline client. */
  async storedSharedMessages(): Promise<QueuedRecord[]> {
    return await this.#stored.sharedMessages(this.#session.start + 1, this.#sequence, this.#sentUpTo)
  }

  /** Removes all queued and unacknowledged messages. */
  async empty(): Promise<void> {
    this.#inFlight.clear()
    this.#waiting = []
    this.#count = this.#bytes = 0
    this.#readUpTo = this.#sequence
    if (this.#session.isStored) await this.dropStored()
  }

  /** Removes all stored messages, but none of a later session with the same client id. */
  async dropStored(): Promise<void> {
    await this.#stored.drop(this.#sequence)
  }

  /** Returns a message that was sent in this connection, or in an earlier one and not yet again in this one. */
  #sent(packetId: number): Queued | undefined {
    const queued = this.#inFlight.get(packetId)
    if (queued !== undefined) return queued
    const index = this.#waiting.findIndex(
      ({ sequence }) => sequence <= this.#sentUpTo && packetIdOf(sequence) === packetId
    )
    const late = index < 0 ? undefined : this.#waiting.splice(index, 1)[0]
    if (late === undefined) return undefined
    this.#count--
    this.#bytes -= late.size
    this.#inFlight.set(packetId, late)
    return late
  }

  #exceeded(size: number): 'queuedMessages' | 'queuedBytes' | undefined {
    const { queuedMessages, queuedBytes } = this.#options
    // An empty queue accepts a message of any size.
    if (this.#count === 0) return undefined
    if (this.#count >= queuedMessages) return 'queuedMessages'
    return this.#bytes + size > queuedBytes ? 'queuedBytes' : undefined
  }

  /**
   * Skips numbers whose packet identifier is in use [MQTT-2.2.1-4]: a client may leave a message unacknowledged for a
   * long time.
   */
  #nextSequence(): number {
    do this.#sequence++
    while (this.#inFlight.has(packetIdOf(this.#sequence)))
    return this.#sequence
  }

  #send(): void {
    const { receiver } = this
    // A hook may publish, which calls this again.
    if (receiver === undefined || this.#isSending) return
    this.#isSending = true
    let sent = 0
    for (const [index, next] of this.#waiting.entries()) {
      if (this.#inFlight.size >= receiver.window) break
      const packetId = packetIdOf(next.sequence)
      if (this.#inFlight.has(packetId) || this.#mustWaitForStore(index, receiver.window)) break
      sent++
      this.#sendOne(receiver, next, packetId)
      if (this.receiver !== receiver) break
    }
    if (sent > 0 && this.receiver === receiver) this.#waiting.splice(0, sent)
    this.#isSending = false
    if (this.#waiting.length < PAGE / 2 || this.#readUpTo < this.#sentUpTo) this.#read()
  }

  /**
   * A QoS 2 message is sent once both the message and its mark as sent are stored. Without the stored message, its
   * packet identifier could be reused after a restart. Without the mark, it would be sent again with DUP 0
   * [MQTT-3.3.1-1].
   */
  #mustWaitForStore(index: number, window: number): boolean {
    const next = this.#waiting[index]
    if (next.qos !== 2 || next.isReleased || !this.#session.isStored) return false
    const { store } = this.#options
    if (next.sequence > this.#stored.markedUpTo) {
      const sendable = this.#waiting.slice(index, index + window - this.#inFlight.size)
      for (const queued of sendable) queued.batch = store.batch
      this.#stored.mark(sendable.at(-1)?.sequence ?? next.sequence)
    }
    if (next.batch <= store.stored) return false
    if (this.#awaitsStore) return true
    this.#awaitsStore = true
    store.whenStored(() => {
      this.#awaitsStore = false
      this.#send()
    })
    return true
  }

  #sendOne(receiver: Receiver, next: Queued, packetId: number): void {
    const { qos, retain, identifiers, sequence, size } = next
    this.#count--
    this.#bytes -= size
    if (next.isReleased) {
      this.#inFlight.set(packetId, next)
      receiver.release(packetId)
      return
    }
    // Access rights may have changed while it was queued.
    const message =
      next === this.#authorised?.queued
        ? this.#authorised.allowed
        : next.message.isExpired()
          ? undefined
          : receiver.forward(next.message)
    const dup = sequence <= this.#sentUpTo
    if (message === undefined || !receiver.send({ message, qos, retain, dup, packetId, identifiers })) {
      this.#stored.delete(next)
      return
    }
    this.#inFlight.set(packetId, next)
    if (dup) return
    this.#sentUpTo = sequence
    this.#stored.mark(sequence)
  }

  #finish(packetId: number, queued: Queued): void {
    this.#inFlight.delete(packetId)
    this.#stored.delete(queued)
    const { backpressure, onIdle } = this.#options
    backpressure.acknowledge(this.#session)
    this.#send()
    if (this.#count === 0) backpressure.catchUp(this.#session)
    else if (!this.isHalfFull) backpressure.keepUp(this.#session)
    if (this.#session.shares.size > 0 && this.hasRoomInWindow) onIdle(this.#session)
  }

  /** Loads the next stored messages, if there are any. */
  #read(): void {
    const { receiver } = this
    if (receiver === undefined || this.#isReading || this.#readUpTo >= this.#sequence) return
    this.#isReading = true
    this.#readPage(receiver)
      .then(
        () => {
          this.#isUnavailable = false
        },
        async (error: unknown) => {
          if (!this.#isUnavailable) this.#options.onUnavailable(this.#session, error as Error)
          this.#isUnavailable = true
          // Serve the client in the meantime.
          if (this.receiver === receiver) receiver.replayed()
          await pause(RETRY_MS, undefined, { ref: false })
        }
      )
      .finally(() => {
        this.#isReading = false
        // The client has reconnected in the meantime: start from the beginning.
        if (this.receiver !== receiver) {
          this.#read()
          return
        }
        this.#send()
        if (!this.isReplaying) receiver.replayed()
      })
  }

  async #readPage(receiver: Receiver): Promise<void> {
    const last = this.#sequence
    let read = 0
    for await (const [key, value] of this.#stored.entries(this.#readUpTo + 1, PAGE)) {
      if (this.receiver !== receiver) return
      this.#load(key, value)
      read++
    }
    if (read < PAGE && this.receiver === receiver) this.#readUpTo = Math.max(this.#readUpTo, last)
  }

  #load(key: string, value: Buffer): void {
    const { sequence, size } = readQueueKey(key)
    this.#readUpTo = sequence
    try {
      const record = decodeQueued(value)
      this.#waiting.push(
        record === undefined
          ? { ...RELEASED_MESSAGE, sequence, size }
          : { ...record, sequence, size, batch: 0, isReleased: false }
      )
    } catch (error) {
      this.#count--
      this.#bytes -= size
      this.#options.store.del(key)
      this.#options.onUnreadable(this.#session, error as Error)
    }
  }
}
