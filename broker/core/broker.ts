// An Aedes whose messages take one way: authorised, retained, routed, and to each session once.

import { Aedes, type AedesOptions, type Client } from 'aedes'
import { levelsOf } from '../protocol/topics.js'
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
import { AWAY, READY, UNABLE, WAITING, type Readiness } from './shared-group.js'
import type { Store } from './store.js'
import type { Target } from './subscription.js'
import { Traffic } from './traffic.js'
import { delayOf, Wills } from './wills.js'

/** What a client may ask for, and a session hold. */
export interface CoreLimits extends RetainedLimits {
  /** Messages of QoS 1 and 2 that wait for a session, and their bytes. */
  queuedMessages: number
  queuedBytes: number
  /** Sessions that may outlast their connections at a time. */
  sessions: number
  /** Longest Session Expiry Interval, seconds. */
  sessionExpiry: number
}

/** What the core tells of. */
export interface CoreEvents {
  /** A message found no room in the queue of a client, or among the retained ones. */
  onDropped: (
    limit: 'queuedMessages' | 'queuedBytes' | 'retainedMessages' | 'retainedBytes',
    clientId: string,
    client: Client | undefined
  ) => void
  /** A session had to end since too many last. */
  onSessionDropped: (clientId: string) => void
  /** A session, or a message of it, could not be read from the store, and was dropped. */
  onUnreadable: (clientId: string, error: Error) => void
  /** The queue of a session cannot be read for now. */
  onUnavailable: (clientId: string, error: Error) => void
}

/** What the core is made of. */
export interface CoreOptions extends LinkOptions, CoreEvents {
  aedes: Omit<AedesOptions, 'persistence'>
  store: Store
  persistence: Persistence
  limits: CoreLimits
  backpressure: Backpressure
  /** Whether a message may wait for a client that is away, by what is known of it. */
  mayWait: (clientId: string, topic: string) => boolean
}

type Done = (error?: Error) => void
type Packet = Parameters<Aedes['publish']>[0]

/** Wills that may wait for their delay to pass. */
const MAX_DELAYED_WILLS = 10_000

/** The broker. Everything that a client or a plug-in publishes goes through {@link publish}. */
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
        this.#share(session)
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
      onHandOver: (share, record) => {
        this.#redispatch(share, record)
      }
    })
    // Names of clients are not keys of ordinary objects, which have `constructor` and `__proto__` already.
    Object.assign(this, { clients: Object.create(null) as object, brokers: Object.create(null) as object })
    this.on('connackSent', (connack, client) => {
      linkOf(client).answer(connack)
    })
    const { handle } = this
    this.handle = (connection, request) => {
      const client = openClient(handle, connection, request)
      new Link(this, client, options)
      return client
    }
  }

  /** Reads retained messages and sessions, and begins to work. */
  override async listen(): Promise<void> {
    if ((this as unknown as { version: string }).version !== AEDES_VERSION)
      throw new Error(`this core is for Aedes ${AEDES_VERSION}`)
    await this.retained.load()
    await this.sessions.restore()
    await super.listen()
  }

  /** The client that is connected under an id. */
  clientOf(clientId: string): Client | undefined {
    return brokerParts(this).clients[clientId]
  }

  /**
   * Takes a message: retained where it says so, to every session that is due it, to the bus and to `published`.
   *
   * @param done called when `published` is through; where the broker itself publishes, also when the store has it
   */
  override publish(packet: Packet, client?: object | null | ((error?: Error) => void), done: Done = () => {}): void {
    if (typeof client === 'function') {
      this.publish(packet, null, client as Done)
      return
    }
    const parts = brokerParts(this)
    let message: Message
    try {
      // What a plug-in publishes stays its own: it may change it, and others may hear it again.
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

  /** Aedes lets a client in: it takes the place of another of that name [MQTT-3.1.4-3], and gets its session. */
  registerClient(client: Client): void {
    const parts = brokerParts(this)
    const before = parts.clients[client.id]
    if (before !== undefined) linkOf(before).takenOver()
    linkOf(client).begin()
    parts._finishRegisterClient(client)
  }

  /** Aedes' own would remove the client that has taken the place of this one. */
  unregisterClient(client: Client): void {
    if (brokerParts(this).clients[client.id] === client)
      (Aedes.prototype as unknown as Broker).unregisterClient.call(this, client)
  }

  /** A connection is closed. */
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

  /** Publishes what clients have left behind that were connected when an earlier run was killed. */
  async publishLeftWills(): Promise<void> {
    await this.wills.publishLeft()
  }

  /** Closes all clients, which publishes their wills. */
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
      const due = target.session.id === message.clientId ? target.ownMessages : target
      if (due !== undefined) this.#deliver(message, due)
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
    // What a client will not get must not take the room of what it will.
    const allowed =
      link !== undefined
        ? link.forward(message)
        : this.#options.mayWait(session.id, message.topic)
          ? message
          : undefined
    if (allowed !== undefined) session.enqueue({ message, qos, retain, identifiers, share }, allowed)
  }

  #readiness({ session, qos: granted }: Target<Session>, message: Message): Readiness {
    const link = session.receiver as Link | undefined
    const isQueued = Math.min(message.qos, granted) > 0
    if (link !== undefined) {
      if (link.forward(message) === undefined) return UNABLE
      if (isQueued ? session.hasRoomInWindow : !link.isFull) return READY
      return !isQueued || session.hasRoom(message.queuedBytes) ? WAITING : UNABLE
    }
    return isQueued && session.hasRoom(message.queuedBytes) && this.#options.mayWait(session.id, message.topic)
      ? AWAY
      : UNABLE
  }

  /** Gives a member of shared subscriptions that keeps up what waits for others. */
  #share(session: Session): void {
    const link = session.receiver as Link
    for (const share of session.shares) {
      const group = this.router.group(share)
      const target = group?.of(session)
      for (const other of group?.sessions() ?? []) {
        if (target === undefined || other === session || other.receiver === undefined) continue
        const message = other.giveUp(share, waiting => link.forward(waiting) !== undefined)
        if (message === undefined) continue
        this.#deliver(message, target)
        return
      }
    }
  }

  /** A member of a shared subscription is gone with messages that others may have [MQTT-4.8.2-4], [MQTT-4.8.2-5]. */
  #redispatch(share: string, { message }: QueuedRecord): void {
    const target = this.router.group(share)?.next(member => this.#readiness(member, message))
    if (target !== undefined) this.#deliver(message, target)
  }

  /** @param done called in the turn in which the will is published: what is stored of both is stored together */
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
