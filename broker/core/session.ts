// One client's session: what it subscribes to, what waits for it, and what it has yet to acknowledge.

import { setTimeout as pause } from 'node:timers/promises'
import { Message, messageOf } from './message.js'
import {
  decodeQueued,
  encodeQueued,
  encodeSent,
  keyOf,
  packetIdOf,
  prefixOf,
  QUEUE,
  queueKey,
  queueStart,
  readQueueKey,
  receivedKey,
  RELEASED_RECORD,
  SENT,
  under,
  type QueuedRecord
} from './records.js'
import type { Store } from './store.js'
import type { Subscription } from './subscription.js'
import type { Delivery } from './wire.js'

/** The connection of a session's client, as far as the session sends to it. */
export interface Receiver {
  /** Messages of QoS 1 and 2 that the client may leave unacknowledged, at least 1. */
  readonly window: number
  /** The message as this client may have it at this moment; undefined where it may not. */
  forward(message: Message): Message | undefined
  /** Sends a PUBLISH; false where it is larger than the client takes [MQTT-3.1.2-24]. */
  send(delivery: Delivery): boolean
  /** Sends a PUBREL again. */
  release(packetId: number): void
  /** All that was sent in earlier connections is known again: acknowledgements of it may be read. */
  replayed(): void
}

/** What bounds the queue of a session, and who hears of it. */
export interface SessionOptions {
  store: Store
  /** Messages of QoS 1 and 2 that may wait, and their bytes. */
  queuedMessages: number
  queuedBytes: number
  /** A message found no room, and is dropped. */
  onFull: (session: Session, limit: 'queuedMessages' | 'queuedBytes') => void
  /** More than half of what may wait does, half or less, or nothing; or the client has acknowledged a message. */
  backpressure: BackpressureSignals
  /** A member of shared subscriptions could have more, and nothing waits for it. */
  onIdle: (session: Session) => void
  /** A stored message cannot be decoded, and was dropped. */
  onUnreadable: (session: Session, error: Error) => void
  /** The store cannot be read; the session tries again every second. Called once until it succeeds. */
  onUnavailable: (session: Session, error: Error) => void
}

/** Whoever lets publishers wait for sessions that fall behind. */
export interface BackpressureSignals {
  /** Messages that had to wait for a connected client, so far. */
  waits: number
  fallBehind(session: object): void
  keepUp(session: object): void
  catchUp(session: object): void
  acknowledge(session: object): void
}

/** A message of QoS 1 or 2 that waits, or is not acknowledged to the end. */
interface Queued extends QueuedRecord {
  sequence: number
  size: number
  /** The batch that stores it; 0: not stored. */
  batch: number
  /** Whether the client has it [MQTT-4.3.3]: what is left is its PUBREL. */
  isReleased: boolean
}

/** A message on its way to a session. */
export type QueuedMessage = Omit<QueuedRecord, 'share'> & { share?: string }

/** Stored messages that are read at a time for a client that has come back. */
const PAGE = 64
/** A store that could not be read is read again after this time. */
const RETRY_MS = 1_000
const NO_BYTES = Buffer.alloc(0)
/** What is left of a message that its receiver has. */
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
 * A session [MQTT-4.1.0]. Where it lasts, its queue lies in the store, and in memory only while its client is
 * connected.
 */
export class Session {
  readonly subscriptions = new Map<string, Subscription>()
  /** Those of them that are shared. */
  readonly shares = new Set<string>()
  /** Packet identifiers of QoS 2 that its client has not released. */
  readonly received = new Set<number>()
  receiver: Receiver | undefined
  /** Session Expiry Interval, seconds. */
  expiry = 0
  /** Since when its client is away, epoch ms; 0: it is connected. */
  awaySince = 0
  /** Whether it is in the store: it may outlast its connection, or has done so. */
  isStored = false
  readonly #options: SessionOptions
  readonly #queuePrefix: string
  /** In their order, the next one first. */
  #waiting: Queued[] = []
  readonly #unacknowledged = new Map<number, Queued>()
  /** Messages that wait, those in the store included, and their bytes. */
  #count = 0
  #bytes = 0
  /** The last sequence numbers given, sent in any connection, and read from the store in this one. */
  #sequence: number
  #sentUpTo = 0
  #readUpTo = 0
  /** The last sequence number that the store has, or will have with batch `#markedIn`, as sent. */
  #markedUpTo = 0
  #markedIn = 0
  /** The message that has just been authorised. */
  #authorised: { queued: Queued; allowed: Message } | undefined
  #isReading = false
  /** The last read of the store failed. */
  #isUnavailable = false
  #isSending = false
  #awaitsStore = false

  /**
   * @param start the last sequence number of an earlier session of that name
   */
  constructor(
    readonly id: string,
    options: SessionOptions,
    readonly start = 0
  ) {
    this.#options = options
    this.#sequence = this.#sentUpTo = this.#markedUpTo = this.#readUpTo = start
    this.#queuePrefix = prefixOf(QUEUE, id)
  }

  /** Messages that wait for the client, and their bytes. */
  get waiting(): { messages: number; bytes: number } {
    return { messages: this.#count, bytes: this.#bytes }
  }

  /** The last sequence number that was given. */
  get sequence(): number {
    return this.#sequence
  }

  /**
   * Whether messages that were sent in earlier connections have yet to be read: an acknowledgement of one would not be
   * understood.
   */
  get isReplaying(): boolean {
    return this.isStored && this.#readUpTo < this.#sentUpTo && !this.#isUnavailable && !this.#options.store.isFailing
  }

  /** Whether the client could have another message of QoS 1 or 2 at once. */
  get hasRoomInWindow(): boolean {
    return this.receiver !== undefined && this.#count === 0 && this.#unacknowledged.size < this.receiver.window
  }

  /** Whether more than half of what may wait does. */
  get isCrowded(): boolean {
    const { queuedMessages, queuedBytes } = this.#options
    return this.#count * 2 > queuedMessages || this.#bytes * 2 > queuedBytes
  }

  /** Whether a message of this size would be kept. */
  hasRoom(size: number): boolean {
    return this.#exceeded(size) === undefined
  }

  /** Takes note of messages that an earlier run has stored. */
  restore(sequence: number, size: number): void {
    this.#sequence = Math.max(this.#sequence, sequence)
    this.#count++
    this.#bytes += size
  }

  /** Takes note of what an earlier run has sent. */
  restoreSent(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence)
    this.#sentUpTo = this.#markedUpTo = Math.max(this.#sentUpTo, sequence)
  }

  /**
   * Sends a message of QoS 1 or 2 in its turn; false where it was dropped for want of room.
   *
   * @param allowed the message as its client may have it at this moment
   */
  enqueue({ message, qos, retain, identifiers, share = '' }: QueuedMessage, allowed = message): boolean {
    const size = message.queuedBytes
    const exceeded = this.#exceeded(size)
    if (exceeded !== undefined) {
      this.#options.onFull(this, exceeded)
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
    if (this.isStored) {
      const { store } = this.#options
      store.add(queueKey(this.#queuePrefix, queued.sequence, size), encodeQueued(queued))
      queued.batch = store.batch
    }
    this.#count++
    this.#bytes += size
    // What a client that has come back has yet to read comes first.
    if (isBehind && this.isStored) return true
    this.#readUpTo = queued.sequence
    this.#waiting.push(queued)
    // In the batch of the message itself: it need not wait for another one.
    if (qos === 2 && this.#isInWindow(this.#waiting.length)) this.#mark(queued.sequence)
    this.#authorised = { queued, allowed }
    this.#send()
    this.#authorised = undefined
    // Whoever hears of the message afterwards may change his.
    if (this.#waiting.at(-1) === queued) queued.message = messageOf(message)
    if (this.#count > 0 && this.receiver !== undefined) {
      const { backpressure } = this.#options
      backpressure.waits++
      if (this.isCrowded) backpressure.fallBehind(this)
    }
    return true
  }

  /** Its client is connected: sends again what it has not acknowledged, and then what waits [MQTT-4.4.0-1]. */
  attach(receiver: Receiver): void {
    this.receiver = receiver
    this.awaySince = 0
    this.#read()
    this.#send()
  }

  /** Its client is gone. */
  detach(): void {
    this.receiver = undefined
    this.#options.backpressure.catchUp(this)
    if (!this.isStored) return
    for (const { size } of this.#unacknowledged.values()) {
      this.#count++
      this.#bytes += size
    }
    this.#unacknowledged.clear()
    this.#waiting = []
    this.#readUpTo = this.start
  }

  /** PUBACK: whether it acknowledged anything. */
  acknowledge(packetId: number): Message | undefined {
    const queued = this.#sent(packetId)
    if (queued?.qos !== 1) return undefined
    this.#finish(packetId, queued)
    return queued.message
  }

  /** PUBREC with a reason that is an error: the message will not be taken. */
  refuse(packetId: number): void {
    const queued = this.#sent(packetId)
    if (queued?.qos === 2) this.#finish(packetId, queued)
  }

  /** PUBREC: whether the message is known, and is to be released with a PUBREL. */
  receive(packetId: number): boolean {
    const queued = this.#sent(packetId)
    if (queued?.qos !== 2) return false
    if (queued.isReleased) return true
    queued.isReleased = true
    if (this.isStored)
      this.#options.store.put(queueKey(this.#queuePrefix, queued.sequence, queued.size), RELEASED_RECORD)
    return true
  }

  /** PUBCOMP: the message that is now through. */
  complete(packetId: number): Message | undefined {
    const queued = this.#unacknowledged.get(packetId)
    if (queued?.isReleased !== true) return undefined
    this.#finish(packetId, queued)
    return queued.message
  }

  /** A message of QoS 2 has come: false where it was here already [MQTT-4.3.3-10]. */
  take(packetId: number): boolean {
    if (this.received.has(packetId)) return false
    this.received.add(packetId)
    if (this.isStored) this.#options.store.put(receivedKey(this.id, packetId), NO_BYTES)
    return true
  }

  /** PUBREL: whether the message was known. */
  forget(packetId: number): boolean {
    if (!this.received.delete(packetId)) return false
    if (this.isStored) this.#options.store.del(receivedKey(this.id, packetId))
    return true
  }

  /** Gives up a message of a shared subscription that waits behind others: a member that keeps up may have it. */
  giveUp(share: string, isWanted: (message: Message) => boolean): Message | undefined {
    if (this.#isSending) return undefined
    const index = this.#waiting.findIndex(
      queued => queued.share === share && queued.sequence > this.#sentUpTo && isWanted(queued.message)
    )
    const given = index < 0 ? undefined : this.#waiting.splice(index, 1)[0]
    if (given === undefined) return undefined
    this.#count--
    this.#bytes -= given.size
    this.#drop(given)
    return given.message
  }

  /**
   * Messages of shared subscriptions that somebody else may have now: those not sent, and of QoS 1 those not
   * acknowledged.
   */
  handOver(): QueuedRecord[] {
    const sent = [...this.#unacknowledged.values()].filter(({ qos }) => qos === 1)
    return [...sent, ...this.#waiting].filter(({ share, message }) => share !== '' && !message.isExpired())
  }

  /** The same of a session whose client is away. */
  async storedHandOver(): Promise<QueuedRecord[]> {
    const found: QueuedRecord[] = []
    for await (const [key, value] of this.#options.store.entries({ ...this.#range(this.start + 1) })) {
      const { sequence } = readQueueKey(key)
      if (sequence > this.#sequence) break
      const record = decodeQueued(value)
      if (record === undefined || record.share === '' || record.message.isExpired()) continue
      if (record.qos === 1 || sequence > this.#sentUpTo) found.push(record)
    }
    return found
  }

  /** Removes all that waits for its client, or is not acknowledged. */
  async empty(): Promise<void> {
    this.#unacknowledged.clear()
    this.#waiting = []
    this.#count = this.#bytes = 0
    this.#readUpTo = this.#sequence
    if (this.isStored) await this.dropStored()
  }

  /** Removes all that is stored of its queue; what a later session of that name gets is not touched. */
  async dropStored(): Promise<void> {
    const { store } = this.#options
    for await (const key of store.keys(under(this.#queuePrefix))) {
      const { sequence } = readQueueKey(key)
      if (sequence > this.#sequence) break
      store.del(key)
    }
  }

  /** A message that was sent, in this connection or in an earlier one whose acknowledgement comes late. */
  #sent(packetId: number): Queued | undefined {
    const queued = this.#unacknowledged.get(packetId)
    if (queued !== undefined) return queued
    const index = this.#waiting.findIndex(
      ({ sequence }) => sequence <= this.#sentUpTo && packetIdOf(sequence) === packetId
    )
    const late = index < 0 ? undefined : this.#waiting.splice(index, 1)[0]
    if (late === undefined) return undefined
    this.#count--
    this.#bytes -= late.size
    this.#unacknowledged.set(packetId, late)
    return late
  }

  #exceeded(size: number): 'queuedMessages' | 'queuedBytes' | undefined {
    const { queuedMessages, queuedBytes } = this.#options
    // One that is larger than all the room still goes into an empty queue.
    if (this.#count === 0) return undefined
    if (this.#count >= queuedMessages) return 'queuedMessages'
    return this.#bytes + size > queuedBytes ? 'queuedBytes' : undefined
  }

  /**
   * Skips numbers whose packet identifier is in use [MQTT-2.2.1-4]: a client may leave one message unacknowledged for
   * long.
   */
  #nextSequence(): number {
    do this.#sequence++
    while (this.#unacknowledged.has(packetIdOf(this.#sequence)))
    return this.#sequence
  }

  #send(): void {
    const { receiver } = this
    // A hook that is asked may publish, and so come back here.
    if (receiver === undefined || this.#isSending) return
    this.#isSending = true
    let sent = 0
    for (const next of this.#waiting) {
      if (this.#unacknowledged.size >= receiver.window) break
      const packetId = packetIdOf(next.sequence)
      if (this.#unacknowledged.has(packetId) || this.#mustWaitForStore(next)) break
      sent++
      this.#sendOne(receiver, next, packetId)
      if (this.receiver !== receiver) break
    }
    if (sent > 0 && this.receiver === receiver) this.#waiting.splice(0, sent)
    this.#isSending = false
    if (this.#waiting.length < PAGE / 2 || this.#readUpTo < this.#sentUpTo) this.#read()
  }

  /** Whether the client may have so many of the waiting messages. */
  #isInWindow(count: number): boolean {
    return this.receiver !== undefined && this.#unacknowledged.size + count <= this.receiver.window
  }

  /**
   * A message of QoS 2 is sent when the store has both the message and the mark that it was sent. Without the message
   * its packet identifier could be given to another one after a restart, and without the mark it would be sent again
   * with DUP 0 [MQTT-3.3.1-1].
   */
  #mustWaitForStore(next: Queued): boolean {
    if (next.qos !== 2 || next.isReleased || !this.isStored) return false
    const { store } = this.#options
    if (next.sequence > this.#markedUpTo) {
      const marked = this.#waiting.filter((_, i) => this.#isInWindow(i + 1))
      this.#mark(marked.at(-1)?.sequence ?? next.sequence)
      for (const queued of marked) queued.batch = store.batch
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
      this.#unacknowledged.set(packetId, next)
      receiver.release(packetId)
      return
    }
    // Rights may have changed while it waited.
    const message =
      next === this.#authorised?.queued
        ? this.#authorised.allowed
        : next.message.isExpired()
          ? undefined
          : receiver.forward(next.message)
    const dup = sequence <= this.#sentUpTo
    if (message === undefined || !receiver.send({ message, qos, retain, dup, packetId, identifiers })) {
      this.#drop(next)
      return
    }
    this.#unacknowledged.set(packetId, next)
    if (!dup) this.#markSent(sequence)
  }

  #markSent(sequence: number): void {
    this.#sentUpTo = sequence
    this.#mark(sequence)
  }

  #mark(sequence: number): void {
    this.#markedUpTo = Math.max(this.#markedUpTo, sequence)
    const { store } = this.#options
    if (!this.isStored || this.#markedIn === store.batch) return
    this.#markedIn = store.batch
    store.put(keyOf(SENT, this.id), () => encodeSent(this.#markedUpTo))
  }

  #finish(packetId: number, queued: Queued): void {
    this.#unacknowledged.delete(packetId)
    this.#drop(queued)
    this.#options.backpressure.acknowledge(this)
    this.#send()
    if (this.#count === 0) this.#options.backpressure.catchUp(this)
    else if (!this.isCrowded) this.#options.backpressure.keepUp(this)
    if (this.shares.size > 0 && this.hasRoomInWindow) this.#options.onIdle(this)
  }

  #drop({ sequence, size }: Queued): void {
    if (this.isStored) this.#options.store.del(queueKey(this.#queuePrefix, sequence, size))
  }

  /** Reads on in the store, where something is left and little waits. */
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
          if (!this.#isUnavailable) this.#options.onUnavailable(this, error as Error)
          this.#isUnavailable = true
          // Its client is served meanwhile.
          if (this.receiver === receiver) receiver.replayed()
          await pause(RETRY_MS, undefined, { ref: false })
        }
      )
      .finally(() => {
        this.#isReading = false
        // A client that came back meanwhile starts from the beginning.
        if (this.receiver !== receiver) {
          this.#read()
          return
        }
        this.#send()
        if (!this.isReplaying) receiver.replayed()
      })
  }

  async #readPage(receiver: Receiver): Promise<void> {
    const all = this.#sequence
    let read = 0
    for await (const [key, value] of this.#options.store.entries({ ...this.#range(this.#readUpTo + 1), limit: PAGE })) {
      if (this.receiver !== receiver) return
      this.#take(key, value)
      read++
    }
    if (read < PAGE && this.receiver === receiver) this.#readUpTo = Math.max(this.#readUpTo, all)
  }

  #take(key: string, value: Buffer): void {
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
      this.#options.onUnreadable(this, error as Error)
    }
  }

  #range(sequence: number): { gte: string; lt: string } {
    return { gte: queueStart(this.#queuePrefix, sequence), lt: under(this.#queuePrefix).lt }
  }
}
