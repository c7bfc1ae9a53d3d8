// Sessions of all clients: creates, resumes, restores, expires and ends them.

import {
  clientIdOf,
  decodeSent,
  decodeSession,
  encodeSession,
  keyOf,
  prefixOf,
  QUEUE,
  readQueueKey,
  RECEIVED,
  receivedKey,
  SENT,
  SESSIONS,
  under,
  type QueuedRecord
} from './records.js'
import type { Router } from './router.js'
import { Session } from './session.js'
import type { QueueOptions, Receiver } from './session-queue.js'
import { sharedParts, type Subscription } from './subscription.js'

/** Stores the subscriptions of persistent sessions. */
export interface SubscriptionStore {
  add(clientId: string, subscriptions: readonly Subscription[]): void
  remove(clientId: string, filters: readonly string[]): void
  get(clientId: string): Promise<Subscription[]>
  /** Ids of clients that have subscriptions. */
  clients(): AsyncIterable<string>
}

/** Limits and callbacks for sessions. */
export interface SessionsOptions extends QueueOptions {
  subscriptions: SubscriptionStore
  router: Router<Session>
  /** Maximum number of sessions of offline clients. */
  maxSessions: number
  /** Longest Session Expiry Interval, seconds; also applies to persistent sessions of MQTT 3. */
  maxExpiry: number
  /** A session has expired, or was ended because there are too many. */
  onEnd: (clientId: string, reason: 'expired' | 'maxSessions') => void
  /** A session could not be restored, and was ended. */
  onLost: (clientId: string, error: Error) => void
  /** A message of a shared subscription whose member's session has ended: another member may receive it. */
  onRedispatch: (share: string, record: QueuedRecord) => void
}

/** Session parameters of a CONNECT. */
export interface SessionRequest {
  clientId: string
  /** Whether to discard an existing session [MQTT-3.1.2-4]. */
  cleanStart: boolean
  /** Session Expiry Interval, seconds. */
  expiry: number
}

/** Session Expiry Interval for a session that never expires (MQTT 5, 3.1.2.11.2). */
export const NEVER = 0xffffffff
const SECOND_MS = 1_000
const MAX_TIMER_MS = 2 ** 31 - 1

/** Manages all sessions. */
export class Sessions {
  /** Highest number of sessions so far. */
  maximum = 0
  /** Number of expired sessions. */
  expired = 0
  readonly #options: SessionsOptions
  readonly #sessions = new Map<string, Session>()
  /** Last sequence numbers of ended sessions whose stored queues are not yet removed. */
  readonly #ended = new Map<string, number>()
  #connected = 0
  #offline = 0
  #timer: NodeJS.Timeout | undefined
  #timerAt = Infinity

  constructor(options: SessionsOptions) {
    this.#options = options
  }

  /** Numbers of sessions and subscriptions, and queued messages and their bytes. */
  get counts(): { connected: number; total: number; subscriptions: number; messages: number; bytes: number } {
    let subscriptions = 0
    let messages = 0
    let bytes = 0
    for (const session of this.#sessions.values()) {
      subscriptions += session.subscriptions.size
      const { size } = session.queue
      messages += size.messages
      bytes += size.bytes
    }
    return { connected: this.#connected, total: this.#sessions.size, subscriptions, messages, bytes }
  }

  get(clientId: string): Session | undefined {
    return this.#sessions.get(clientId)
  }

  /**
   * Creates or resumes the session of a connecting client.
   *
   * @returns the session, and whether it is resumed [MQTT-3.2.2-2], [MQTT-3.2.2-3]
   */
  open({ clientId, cleanStart, expiry }: SessionRequest): { session: Session; isPresent: boolean } {
    const before = this.#sessions.get(clientId)
    const isPresent = before !== undefined && !cleanStart
    if (before !== undefined && cleanStart) this.end(before)
    const session = isPresent
      ? before
      : new Session(clientId, this.#options, before?.queue.sequence ?? this.#ended.get(clientId))
    this.#sessions.set(clientId, session)
    if (isPresent) this.#offline--
    this.#connected++
    this.maximum = Math.max(this.maximum, this.#sessions.size)
    session.expiry = expiry
    session.disconnectedAt = 0
    session.isStored ||= expiry > 0
    this.#record(session)
    return { session, isPresent }
  }

  /** Starts delivery to a connected client. */
  attach(session: Session, receiver: Receiver): void {
    session.queue.attach(receiver)
  }

  /** The client has disconnected: ends its session, or keeps it until it expires. */
  detach(session: Session): void {
    if (this.#sessions.get(session.id) !== session) return
    session.queue.detach()
    this.#connected--
    this.#offline++
    session.disconnectedAt = Date.now()
    if (session.expiry === 0) this.end(session)
    else if (this.#offline > this.#options.maxSessions) {
      this.end(session)
      this.#options.onEnd(session.id, 'maxSessions')
    } else {
      this.#record(session)
      this.#scheduleExpiry(session)
    }
  }

  /** Ends a session and removes all its data. */
  end(session: Session): void {
    if (this.#sessions.get(session.id) !== session) return
    this.#sessions.delete(session.id)
    if (session.disconnectedAt === 0) this.#connected--
    else this.#offline--
    const { router, store, subscriptions } = this.#options
    const hasShares = session.shares.size > 0
    for (const filter of session.subscriptions.keys()) router.remove(session, filter)
    if (hasShares) this.#redispatch(session)
    if (!session.isStored) return
    subscriptions.remove(session.id, [...session.subscriptions.keys()])
    for (const packetId of session.received) store.del(receivedKey(session.id, packetId))
    store.del(keyOf(SESSIONS, session.id))
    store.del(keyOf(SENT, session.id))
    this.#ended.set(session.id, session.queue.sequence)
    if (!hasShares) this.#dropStored(session)
  }

  /** Adds or replaces a subscription; returns whether it is new. */
  subscribe(session: Session, subscription: Subscription): boolean {
    const isNew = !session.subscriptions.has(subscription.filter)
    this.#add(session, subscription)
    if (session.isStored) this.#options.subscriptions.add(session.id, [subscription])
    return isNew
  }

  /** Removes a subscription; returns whether it existed. */
  unsubscribe(session: Session, filter: string): boolean {
    if (!session.subscriptions.delete(filter)) return false
    session.shares.delete(filter)
    this.#options.router.remove(session, filter)
    if (session.isStored) this.#options.subscriptions.remove(session.id, [filter])
    return true
  }

  /** Restores the sessions of earlier runs; ends a session that cannot be read. */
  async restore(): Promise<void> {
    const { store, subscriptions, onLost } = this.#options
    for await (const [key, value] of store.entries(under(SESSIONS))) {
      const clientId = clientIdOf(SESSIONS, key)
      try {
        const { expiry, disconnectedAt, start } = decodeSession(value)
        const session = new Session(clientId, this.#options, start)
        // If it was connected, its connection ended with the broker.
        Object.assign(session, {
          expiry,
          disconnectedAt: disconnectedAt === 0 ? Date.now() : disconnectedAt,
          isStored: true
        })
        for (const subscription of await subscriptions.get(clientId)) this.#add(session, subscription)
        this.#sessions.set(clientId, session)
        this.#offline++
      } catch (error) {
        store.del(key)
        onLost(clientId, error as Error)
      }
    }
    await this.#restoreQueues()
    await this.#dropOrphans()
    this.maximum = this.#sessions.size
    for (const session of [...this.#sessions.values()]) {
      if (session.expiry === 0) this.end(session)
      else {
        this.#record(session)
        this.#scheduleExpiry(session)
      }
    }
  }

  /** Stops expiring sessions. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#timerAt = -Infinity
  }

  #add(session: Session, subscription: Subscription): void {
    session.subscriptions.set(subscription.filter, subscription)
    if (sharedParts(subscription.filter) !== undefined) session.shares.add(subscription.filter)
    this.#options.router.add(session, subscription)
  }

  async #restoreQueues(): Promise<void> {
    const { store } = this.#options
    for await (const key of store.keys(under(QUEUE))) {
      const { clientId, sequence, size } = readQueueKey(key)
      const session = this.#sessions.get(clientId)
      if (session === undefined || sequence <= session.start) store.del(key)
      else session.queue.restoreQueued(sequence, size)
    }
    for await (const [key, value] of store.entries(under(SENT))) {
      const session = this.#sessions.get(clientIdOf(SENT, key))
      if (session === undefined) store.del(key)
      else session.queue.restoreSent(decodeSent(value))
    }
    for await (const key of store.keys(under(RECEIVED))) {
      const clientId = clientIdOf(RECEIVED, key)
      const session = this.#sessions.get(clientId)
      if (session === undefined) store.del(key)
      else session.received.add(Number(key.slice(prefixOf(RECEIVED, clientId).length)))
    }
  }

  /** Removes subscriptions without a session: the broker was stopped between the two deletions. */
  async #dropOrphans(): Promise<void> {
    const { subscriptions } = this.#options
    const orphans = new Set<string>()
    for await (const clientId of subscriptions.clients()) if (!this.#sessions.has(clientId)) orphans.add(clientId)
    for (const clientId of orphans)
      subscriptions.remove(
        clientId,
        (await subscriptions.get(clientId)).map(({ filter }) => filter)
      )
  }

  #record(session: Session): void {
    if (!session.isStored) return
    const { expiry, disconnectedAt, start } = session
    this.#options.store.put(keyOf(SESSIONS, session.id), encodeSession({ expiry, disconnectedAt, start }))
  }

  /** Offers the shared messages of an ended session to other members. */
  #redispatch(session: Session): void {
    const { onRedispatch, onLost } = this.#options
    const redispatch = (records: readonly QueuedRecord[]): void => {
      for (const record of records) onRedispatch(record.share, record)
    }
    if (!session.isStored) {
      redispatch(session.queue.sharedMessages())
      return
    }
    session.queue
      .storedSharedMessages()
      .then(redispatch)
      .catch((error: unknown) => {
        onLost(session.id, error as Error)
      })
      .finally(() => {
        this.#dropStored(session)
      })
  }

  #dropStored(session: Session): void {
    session.queue
      .dropStored()
      .catch((error: unknown) => {
        this.#options.onLost(session.id, error as Error)
      })
      .finally(() => {
        if (this.#ended.get(session.id) === session.queue.sequence) this.#ended.delete(session.id)
      })
  }

  /** Returns when a session expires, epoch ms. */
  #expiryOf({ expiry, disconnectedAt }: Session): number {
    const seconds = Math.min(expiry, this.#options.maxExpiry)
    return disconnectedAt === 0 || seconds === NEVER || seconds === Infinity
      ? Infinity
      : disconnectedAt + seconds * SECOND_MS
  }

  #scheduleExpiry(session: Session): void {
    const expiresAt = this.#expiryOf(session)
    if (expiresAt >= this.#timerAt) return
    clearTimeout(this.#timer)
    this.#timerAt = expiresAt
    this.#timer = setTimeout(
      () => {
        this.#endExpired()
      },
      Math.min(MAX_TIMER_MS, Math.max(0, expiresAt - Date.now()))
    ).unref()
  }

  #endExpired(): void {
    this.#timerAt = Infinity
    const now = Date.now()
    for (const session of [...this.#sessions.values()]) {
      if (this.#expiryOf(session) > now) this.#scheduleExpiry(session)
      else {
        this.expired++
        this.end(session)
        this.#options.onEnd(session.id, 'expired')
      }
    }
  }
}
