// An Aedes with one path for messages: authorise, retain, route, deliver once per session.

import { Aedes, type AedesOptions, type Client } from 'aedes-2'
import { levelsOf } from '../../src/topics.js'
import { AEDES_VERSION, brokerParts, NO_PERSISTENCE, openClient, partsOf, watchBus } from './aedes-internals.js'
import { Link, linkOf, type LinkOptions } from './link.js'
import { checkMessage, InvalidMessage, Message, messageOf, type MessageSource, type QoS } from './message.js'
import type { Backpressure } from './backpressure.js'
import type { Persistence } from './persistence.js'
import type { QueuedRecord } from './records.js'
import { RetainedMessages, type RetainedLimits } from './retained.js'
import { Router } from './router.js'
import type { Session } from './session.js'
import { Sessions } from './sessions.js'
import { OFFLINE, READY, UNABLE, WAITING, type Readiness } from './shared-group.js'
import type { Store } from './store.js'
import type { Target } from './subscription.js'
import { Traffic } from './traffic.js'
import { delayOf, Wills } from './wills.js'

/** Limits for clients and sessions. */
export interface CoreLimits extends RetainedLimits {
  /** Queued QoS 1 and 2 messages per session, and their bytes. */
  queuedMessages: number
  queuedBytes: number
  /** Maximum number of sessions of offline clients. */
  sessions: number
  /** Longest Session Expiry Interval, seconds. */
  sessionExpiry: number
}

/** Callbacks of the core. */
export interface CoreEvents {
  /** A message was dropped because the queue of a client or the retained messages are full. */
  onDropped: (
    limit: 'queuedMessages' | 'queuedBytes' | 'retainedMessages' | 'retainedBytes',
    clientId: string,
    client: Client | undefined
  ) => void
  /** A session was ended because there are too many persistent sessions. */
  onSessionDropped: (clientId: string) => void
  /** A session or one of its messages could not be read from the store, and was dropped. */
  onUnreadable: (clientId: string, error: Error) => void
  /** The queue of a session currently cannot be read. */
  onUnavailable: (clientId: string, error: Error) => void
}

/** Options of the core. */
export interface CoreOptions extends LinkOptions, CoreEvents {
  aedes: Omit<AedesOptions, 'persistence'>
  store: Store
  persistence: Persistence
  limits: CoreLimits
  backpressure: Backpressure
  /** Whether a message may be queued for an offline client. */
  mayWait: (clientId: string, topic: string) => boolean
}

type Done = (error?: Error) => void
type Packet = Parameters<Aedes['publish']>[0]

/** Maximum number of delayed wills. */
const MAX_DELAYED_WILLS = 10_000

/** The broker. All messages of clients and plug-ins pass through {@link publish}. */
export class Broker extends Aedes {
  readonly store: Store
  readonly router = new Router<Session>()
  readonly sessions: Sessions
  readonly retained: RetainedMessages
  readonly wills: Wills
  readonly traffic = new Traffic()
  readonly #options: CoreOptions
  readonly #bus: { hasListeners: (topic: string) => boolean }

  constructor(options: CoreOptions) {
    super({
      ...options.aedes,
      sessionExpiryIntervalLimit: Number.isFinite(options.limits.sessionExpiry) ? options.limits.sessionExpiry : 0,
      persistence: NO_PERSISTENCE
    })
    const { store, persistence, limits } = options
    const parts = brokerParts(this)
    this.#options = options
    this.store = store
    this.#bus = watchBus(parts.mq)
    this.retained = new RetainedMessages(persistence.retained, limits)
    this.wills = new Wills(
      persistence.wills,
      (will, client, done) => {
        this.#publishWill(will, client, done)
      },
      MAX_DELAYED_WILLS
    )
    this.sessions = new Sessions({
      store,
      subscriptions: persistence.subscriptions,
      router: this.router,
      queuedMessages: limits.queuedMessages,
      queuedBytes: limits.queuedBytes,
      maxSessions: limits.sessions,
      maxExpiry: limits.sessionExpiry,
      backpressure: options.backpressure,
      onFull: ({ id }, limit) => {
        options.onDropped(limit, id, this.clientOf(id))
      },
      onIdle: session => {
        this.#rebalance(session)
      },
      onUnreadable: ({ id }, error) => {
        options.onUnreadable(id, error)
      },
      onUnavailable: ({ id }, error) => {
        options.onUnavailable(id, error)
      },
      onEnd: (clientId, reason) => {
        this.wills.publishNow(clientId)
        if (reason === 'maxSessions') {
          this.emit('sessionLimitReached', { id: clientId }, { reason: 'sessionExpiry', limit: limits.sessions })
          options.onSessionDropped(clientId)
        } else this.emit('sessionExpired', { id: clientId })
      },
      onLost: (clientId, error) => {
        options.onUnreadable(clientId, error)
      },
      onRedispatch: (share, record) => {
        this.#redispatch(share, record)
      }
    })
    // Without a prototype, so that client ids such as `constructor` and `__proto__` are safe keys.
    Object.assign(this, { clients: Object.create(null) as object, brokers: Object.create(null) as object })
    this.on('connackSent', (connack, client) => {
      linkOf(client).sendConnack(connack)
    })
    const { handle } = this
    this.handle = (connection, request) => {
      const client = openClient(handle, connection, request)
      new Link(this, client, options)
      return client
    }
  }

  /** Loads retained messages and sessions, and starts the broker. */
  override async listen(): Promise<void> {
    if ((this as unknown as { version: string }).version !== AEDES_VERSION)
      throw new Error(`the core requires Aedes ${AEDES_VERSION}`)
    await this.retained.load()
    await this.sessions.restore()
    await super.listen()
  }

  /** Returns the connected client with an id. */
  clientOf(clientId: string): Client | undefined {
    return brokerParts(this).clients[clientId]
  }

  /**
   * Publishes a message: retains it if requested, delivers it to sessions, emits it on the bus and calls `published`.
   *
   * @param done called after `published`; for messages of the broker itself, also after they are stored
   */
  override publish(packet: Packet, client?: object | null | ((error?: Error) => void), done: Done = () => {}): void {
    if (typeof client === 'function') {
      this.publish(packet, null, client as Done)
      return
    }
    const parts = brokerParts(this)
    let message: Message
    try {
      // Copy messages of plug-ins: a plug-in may change or reuse its object.
      message = packet instanceof Message && client ? packet : messageOf(packet)
      checkMessage(message)
    } catch (error) {
      done(error as Error)
      return
    }
    if (levelsOf(message.topic) > parts.maxTopicLevels) {
      done(new InvalidMessage('topic has too many levels'))
      return
    }
    const from = (client ?? null) as Client | null
    if (from !== null) message.clientId = from.id
    message.brokerId = this.id
    message.brokerCounter = ++parts.counter
    const { changes } = this.store
    if (message.retain) this.#retain(message)
    this.#route(message)
    const finish = (): void => {
      this.published(packet as Parameters<Aedes['published']>[0], from as Client, error => {
        if (from === null && this.store.changes !== changes)
          this.store.whenStored(() => {
            done(error ?? undefined)
          })
        else done(error ?? undefined)
      })
      this.emit('publish', packet, from)
    }
    if (this.#bus.hasListeners(message.topic)) parts.mq.emit(message, finish)
    else finish()
  }

  /** Called by Aedes for an accepted client: takes over the connection of the same client id [MQTT-3.1.4-3]. */
  registerClient(client: Client): void {
    const parts = brokerParts(this)
    const previous = parts.clients[client.id]
    if (previous !== undefined) linkOf(previous).takenOver()
    linkOf(client).openSession()
    parts._finishRegisterClient(client)
  }

  /** Unlike Aedes' own method, does not remove a client that has taken over from this one. */
  unregisterClient(client: Client): void {
    if (brokerParts(this).clients[client.id] === client)
      (Aedes.prototype as unknown as Broker).unregisterClient.call(this, client)
  }

  /** Called by Aedes when a connection has closed. */
  scheduleSessionExpiry(client: Client): void {
    linkOf(client).end()
    if (partsOf(client)._disconnected) this.wills.discard(client)
  }

  publishWill(client: Client, will: MessageSource): void {
    linkOf(client).end()
    this.wills.publish(client.id, client, will)
  }

  scheduleWill(client: Client, will: MessageSource): void {
    const { expiry } = linkOf(client)
    linkOf(client).end()
    const delayS = Math.min(delayOf(will), expiry)
    if (delayS > 0 && this.closed) this.emit('willDropped', client, will)
    else if (delayS > 0) this.wills.delay(client.id, client, will, delayS)
    else this.wills.publish(client.id, client, will)
  }

  clearDelayedWill(clientId: string): void {
    this.wills.cancel(clientId)
  }

  /** Publishes the wills of clients that were connected when an earlier run was killed. */
  async publishLeftoverWills(): Promise<void> {
    await this.wills.publishLeftover()
  }

  /** Disconnects all clients, which publishes their wills. */
  override close(done: () => void = () => {}): void {
    this.sessions.stop()
    super.close(() => {
      this.wills.stop()
      done()
    })
  }

  #retain(message: Message): void {
    const limit = this.retained.put(message)
    if (limit !== undefined)
      this.#options.onDropped(limit, message.clientId ?? '', this.clientOf(message.clientId ?? ''))
  }

  #route(message: Message): void {
    const { targets, groups } = this.router.route(message.topic)
    for (const target of targets) {
      const allowed = target.session.id === message.clientId ? target.ownMessages : target
      if (allowed !== undefined) this.#deliver(message, allowed)
    }
    for (const group of groups) {
      const target = group.next(member => this.#readiness(member, message))
      if (target !== undefined) this.#deliver(message, target)
    }
  }

  #deliver(message: Message, { session, qos: granted, retainAsPublished, identifiers, share }: Target<Session>): void {
    // [MQTT-3.8.4-8]
    const qos = Math.min(message.qos, granted) as QoS
    const retain = retainAsPublished && message.retain
    const link = session.receiver as Link | undefined
    if (qos === 0) {
      link?.deliver(message, retain, identifiers)
      return
    }
    // A message that the client may not receive must not take space in its queue.
    const allowed =
      link !== undefined
        ? link.forward(message)
        : this.#options.mayWait(session.id, message.topic)
          ? message
          : undefined
    if (allowed !== undefined) session.queue.enqueue({ message, qos, retain, identifiers, share }, allowed)
  }

  #readiness({ session, qos: granted }: Target<Session>, message: Message): Readiness {
    const link = session.receiver as Link | undefined
    const isQueued = Math.min(message.qos, granted) > 0
    if (link !== undefined) {
      if (link.forward(message) === undefined) return UNABLE
      if (isQueued ? session.queue.hasRoomInWindow : !link.isFull) return READY
      return !isQueued || session.queue.hasRoom(message.queuedBytes) ? WAITING : UNABLE
    }
    return isQueued && session.queue.hasRoom(message.queuedBytes) && this.#options.mayWait(session.id, message.topic)
      ? OFFLINE
      : UNABLE
  }

  /** Moves a message that is queued for another member of a shared subscription to an idle member. */
  #rebalance(session: Session): void {
    const link = session.receiver as Link
    for (const share of session.shares) {
      const group = this.router.group(share)
      const target = group?.get(session)
      for (const other of group?.sessions() ?? []) {
        if (target === undefined || other === session || other.receiver === undefined) continue
        const message = other.queue.withdraw(share, queued => link.forward(queued) !== undefined)
        if (message === undefined) continue
        this.#deliver(message, target)
        return
      }
    }
  }

  /** Delivers a message of a member whose session has ended to another member [MQTT-4.8.2-4], [MQTT-4.8.2-5]. */
  #redispatch(share: string, { message }: QueuedRecord): void {
    const target = this.router.group(share)?.next(member => this.#readiness(member, message))
    if (target !== undefined) this.#deliver(message, target)
  }

  /** @param done called in the turn in which the will is published, so that both changes are in one batch */
  #publishWill(will: MessageSource, client: Client | null, done: () => void): void {
    const packet = {
      ...will,
      cmd: 'publish',
      payload: will.payload ?? '',
      qos: will.qos ?? 0,
      retain: will.retain ?? false,
      dup: false
    } as unknown as Packet
    this.authorizePublish(client, packet, refused => {
      if (!refused) this.publish(packet, client)
      done()
    })
  }
}
