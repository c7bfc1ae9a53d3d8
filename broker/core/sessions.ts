// The sessions of all clients, connected or not: how they begin, outlast a connection or a restart, and end.

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
import { Session, type Receiver, type SessionOptions } from './session.js'
import type { Store } from './store.js'
import { sharedParts, type Subscription } from './subscription.js'

/** Where the subscriptions of sessions that last are kept. */
export interface SubscriptionStore {
  add(clientId: string, subscriptions: readonly Subscription[]): void
  remove(clientId: string, filters: readonly string[]): void
  of(clientId: string): Promise<Subscription[]>
  /** Who has any. */
  clients(): AsyncIterable<string>
}

/** What bounds sessions, and who hears of their ends. */
export interface SessionsOptions extends Omit<SessionOptions, 'store'> {
  store: Store
  subscriptions: SubscriptionStore
  router: Router<Session>
  /** Sessions that may outlast their connections at a time. */
  maxSessions: number
  /** Longest Session Expiry Interval, seconds: that of a lasting session of MQTT 3 as well. */
  maxExpiry: number
  /** A session has ended: because its time was over, or since there are too many. */
  onEnd: (clientId: string, reason: 'expired' | 'maxSessions') => void
  /** A session could not be restored, and has ended. */
  onLost: (clientId: string, error: Error) => void
  /** Messages of a shared subscription whose member is gone. */
  onHandOver: (share: string, record: QueuedRecord) => void
}

/** How a client wants its session. */
export interface SessionRequest {
  clientId: string
  /** Whether what was before is discarded [MQTT-3.1.2-4]. */
  cleanStart: boolean
  /** Session Expiry Interval, seconds. */
  expiry: number
}

/** Session Expiry Interval of a session that never expires (MQTT 5, 3.1.2.11.2). */
export const NEVER = 0xffffffff
const SECOND_MS = 1_000
const MAX_TIMER_MS = 2 ** 31 - 1

/** The sessions. */
export class Sessions {
  /** The most there have been at a time. */
  maximum = 0
  /** Those that ended because their time was over. */
  expired = 0
  readonly #options: SessionsOptions
  readonly #sessions = new Map<string, Session>()
  /** The last sequence numbers of sessions that have ended, while what is stored of their queues is removed. */
  readonly #ended = new Map<string, number>()
  #connected = 0
  #away = 0
  #timer: NodeJS.Timeout | undefined
  #timerAt = Infinity

  constructor(options: SessionsOptions) {
    this.#options = options
  }

  /** How many there are, how many subscriptions they hold, and what waits for them. */
  get counts(): { connected: number; total: number; subscriptions: number; messages: number; bytes: number } {
    let subscriptions = 0
    let messages = 0
    let bytes = 0
    for (const session of this.#sessions.values()) {
      subscriptions += session.subscriptions.size
      messages += session.waiting.messages
      bytes += session.waiting.bytes
    }
    return { connected: this.#connected, total: this.#sessions.size, subscriptions, messages, bytes }
  }

  get(clientId: string): Session | undefined {
    return this.#sessions.get(clientId)
  }

  /**
   * Begins a session for a client that is being connected, or goes on with the one it has.
   *
   * @returns also whether there was one [MQTT-3.2.2-2], [MQTT-3.2.2-3]
   */
  open({ clientId, cleanStart, expiry }: SessionRequest): { session: Session; isPresent: boolean } {
    const before = this.#sessions.get(clientId)
    const isPresent = before !== undefined && !cleanStart
    if (before !== undefined && cleanStart) this.end(before)
    const session = isPresent
      ? before
      : new Session(clientId, this.#options, before?.sequence ?? this.#ended.get(clientId))
    this.#sessions.set(clientId, session)
    if (isPresent) this.#away--
    this.#connected++
    this.maximum = Math.max(this.maximum, this.#sessions.size)
    session.expiry = expiry
    session.awaySince = 0
    session.isStored ||= expiry > 0
    this.#record(session)
    return { session, isPresent }
  }

  /** The client is to get what waits for it. */
  attach(session: Session, receiver: Receiver): void {
    session.attach(receiver)
  }

  /** The client is gone: its session ends with it, or lasts for a while. */
  detach(session: Session): void {
    if (this.#sessions.get(session.id) !== session) return
    session.detach()
    this.#connected--
    this.#away++
    session.awaySince = Date.now()
    if (session.expiry === 0) this.end(session)
    else if (this.#away > this.#options.maxSessions) {
      this.end(session)
      this.#options.onEnd(session.id, 'maxSessions')
    } else {
      this.#record(session)
      this.#expectEnd(session)
    }
  }

  /** Ends a session, whose client is away: nothing of it is left. */
  end(session: Session): void {
    if (this.#sessions.get(session.id) !== session) return
    this.#sessions.delete(session.id)
    if (session.awaySince === 0) this.#connected--
    else this.#away--
    const { router, store, subscriptions } = this.#options
    const isSharing = session.shares.size > 0
    for (const filter of session.subscriptions.keys()) router.remove(session, filter)
    if (isSharing) this.#handOver(session)
    if (!session.isStored) return
    subscriptions.remove(session.id, [...session.subscriptions.keys()])
    for (const packetId of session.received) store.del(receivedKey(session.id, packetId))
    store.del(keyOf(SESSIONS, session.id))
    store.del(keyOf(SENT, session.id))
    this.#ended.set(session.id, session.sequence)
    if (!isSharing) this.#dropStored(session)
  }

  /** Adds a subscription of a session, or changes it; whether it is new. */
  subscribe(session: Session, subscription: Subscription): boolean {
    const isNew = !session.subscriptions.has(subscription.filter)
    this.#add(session, subscription)
    if (session.isStored) this.#options.subscriptions.add(session.id, [subscription])
    return isNew
  }

  /** Removes a subscription of a session; whether it was there. */
  unsubscribe(session: Session, filter: string): boolean {
    if (!session.subscriptions.delete(filter)) return false
    session.shares.delete(filter)
    this.#options.router.remove(session, filter)
    if (session.isStored) this.#options.subscriptions.remove(session.id, [filter])
    return true
  }

  /** Brings back the sessions of earlier runs; one that cannot be read ends, and the others stay. */
  async restore(): Promise<void> {
    const { store, subscriptions, onLost } = this.#options
    for await (const [key, value] of store.entries(under(SESSIONS))) {
      const clientId = clientIdOf(SESSIONS, key)
      try {
        const { expiry, awaySince, start } = decodeSession(value)
        const session = new Session(clientId, this.#options, start)
        // Its connection has ended with the broker.
        Object.assign(session, { expiry, awaySince: awaySince === 0 ? Date.now() : awaySince, isStored: true })
        for (const subscription of await subscriptions.of(clientId)) this.#add(session, subscription)
        this.#sessions.set(clientId, session)
        this.#away++
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
        this.#expectEnd(session)
      }
    }
  }

  /** Expects no more ends. */
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
      else session.restore(sequence, size)
    }
    for await (const [key, value] of store.entries(under(SENT))) {
      const session = this.#sessions.get(clientIdOf(SENT, key))
      if (session === undefined) store.del(key)
      else session.restoreSent(decodeSent(value))
    }
    for await (const key of store.keys(under(RECEIVED))) {
      const clientId = clientIdOf(RECEIVED, key)
      const session = this.#sessions.get(clientId)
      if (session === undefined) store.del(key)
      else session.received.add(Number(key.slice(prefixOf(RECEIVED, clientId).length)))
    }
  }

  /** Subscriptions without a session: its end was written, and theirs was not. */
  async #dropOrphans(): Promise<void> {
    const { subscriptions } = this.#options
    const orphans = new Set<string>()
    for await (const clientId of subscriptions.clients()) if (!this.#sessions.has(clientId)) orphans.add(clientId)
    for (const clientId of orphans)
      subscriptions.remove(
        clientId,
        (await subscriptions.of(clientId)).map(({ filter }) => filter)
      )
  }

  #record(session: Session): void {
    if (!session.isStored) return
    const { expiry, awaySince, start } = session
    this.#options.store.put(keyOf(SESSIONS, session.id), encodeSession({ expiry, awaySince, start }))
  }

  #handOver(session: Session): void {
    const { onHandOver, onLost } = this.#options
    const hand = (records: readonly QueuedRecord[]): void => {
      for (const record of records) onHandOver(record.share, record)
    }
    if (!session.isStored) {
      hand(session.handOver())
      return
    }
    session
      .storedHandOver()
      .then(hand)
      .catch((error: unknown) => {
        onLost(session.id, error as Error)
      })
      .finally(() => {
        this.#dropStored(session)
      })
  }

  #dropStored(session: Session): void {
    session
      .dropStored()
      .catch((error: unknown) => {
        this.#options.onLost(session.id, error as Error)
      })
      .finally(() => {
        if (this.#ended.get(session.id) === session.sequence) this.#ended.delete(session.id)
      })
  }

  /** When a session ends, epoch ms. */
  #endOf({ expiry, awaySince }: Session): number {
    const seconds = Math.min(expiry, this.#options.maxExpiry)
    return awaySince === 0 || seconds === NEVER || seconds === Infinity ? Infinity : awaySince + seconds * SECOND_MS
  }

  #expectEnd(session: Session): void {
    const end = this.#endOf(session)
    if (end >= this.#timerAt) return
    clearTimeout(this.#timer)
    this.#timerAt = end
    this.#timer = setTimeout(
      () => {
        this.#endExpired()
      },
      Math.min(MAX_TIMER_MS, Math.max(0, end - Date.now()))
    ).unref()
  }

  #endExpired(): void {
    this.#timerAt = Infinity
    const now = Date.now()
    for (const session of [...this.#sessions.values()]) {
      if (this.#endOf(session) > now) this.#expectEnd(session)
      else {
        this.expired++
        this.end(session)
        this.#options.onEnd(session.id, 'expired')
      }
    }
  }
}
