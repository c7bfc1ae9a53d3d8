// Handles SUBSCRIBE and UNSUBSCRIBE, and delivers retained messages to new subscriptions.

import type { Client, Subscription as AedesSubscription } from 'aedes-2'
import { isTopicFilter, levelsOf } from '../../src/topics.js'
import { brokerParts, type RequestedSubscription } from './aedes-internals.js'
import type { Broker } from './broker.js'
import type { Link } from './link.js'
import type { QoS } from './message.js'
import { sharedParts, targetOf, type Subscription, type Target } from './subscription.js'
import type { Session } from './session.js'

/** A SUBSCRIBE from a client, or a subscription by a plug-in. */
export interface SubscribeRequest {
  /** undefined: no SUBACK is sent. */
  messageId?: number
  subscriptions: readonly RequestedSubscription[]
  properties?: { subscriptionIdentifier?: number }
}

/** An UNSUBSCRIBE from a client or a plug-in. */
export interface UnsubscribeRequest {
  messageId?: number
  unsubscriptions: readonly string[]
}

/** The result for one filter of a SUBSCRIBE. */
interface Grant {
  requested: RequestedSubscription
  /** Granted QoS, or a reason code from 0x80 on. */
  code: number
  subscription: Subscription | undefined
  /** Whether retained messages are sent. */
  sendsRetained: boolean
}

const MQTT_5 = 5
const FAILURE = 0x80
const NOT_AUTHORIZED = 0x87
const NO_SUBSCRIPTION_EXISTED = 0x11

/** Handles the filters in order, and later packets of the client only after them [MQTT-4.6.0-1]. */
export async function subscribe(
  broker: Broker,
  link: Link,
  { messageId, subscriptions, properties }: SubscribeRequest
): Promise<void> {
  const { session, client } = link
  if (session === undefined) return
  const grants: Grant[] = []
  for (const requested of subscriptions) {
    if (levelsOf(requested.topic) > brokerParts(broker).maxTopicLevels) throw new Error('topic has too many levels')
    if (!isFilter(requested.topic)) throw new Error('invalid topic filter [MQTT-4.7.1-1]')
    if (properties?.subscriptionIdentifier !== undefined)
      requested.subscriptionIdentifier = properties.subscriptionIdentifier
    const allowed = authorise(broker, client, requested)
    const grant = allowed instanceof Promise ? await allowed : allowed
    if (client.closed) return
    if (grant instanceof Error) throw grant
    if (grant === FAILURE) link.reportDenied(requested.topic)
    grants.push(grantOf(broker, session, requested, grant, link.version))
  }
  // Each filter once, with its last result.
  const granted = [
    ...new Map(
      grants.map(({ requested, code }) => [requested.topic, { ...requested, qos: code } as AedesSubscription])
    ).values()
  ]
  link.sendSuback(
    messageId,
    grants.map(({ code }) => code),
    () => {
      broker.emit('subscribe', granted, client)
      publishSys(broker, 'new/subscribes', { clientId: client.id, subs: granted })
      link.retained.add(
        grants.flatMap(({ subscription, sendsRetained }) =>
          sendsRetained && subscription !== undefined ? subscription : []
        )
      )
    }
  )
}

/** Handles an UNSUBSCRIBE. */
export function unsubscribe(broker: Broker, link: Link, { messageId, unsubscriptions }: UnsubscribeRequest): void {
  const { session, client } = link
  if (session === undefined) return
  const codes = unsubscriptions.map(filter =>
    broker.sessions.unsubscribe(session, filter) ? 0 : NO_SUBSCRIPTION_EXISTED
  )
  link.sendUnsuback(messageId, codes, () => {
    emitUnsubscribed(broker, client, unsubscriptions)
  })
}

/** Emits `unsubscribe`, and publishes it on the `$SYS` topic for brokers of a cluster. */
export function emitUnsubscribed(broker: Broker, client: Client, filters: readonly string[]): void {
  if (filters.length === 0) return
  broker.emit('unsubscribe', filters, client)
  publishSys(broker, 'new/unsubscribes', { clientId: client.id, subs: filters })
}

/** Authorises the subscriptions of a resumed session again: access rights may have changed. */
export function reauthorise(broker: Broker, link: Link, session: Session): void {
  for (const subscription of [...session.subscriptions.values()]) {
    const { filter, qos, noLocal, retainAsPublished, retainHandling } = subscription
    const settle = (allowed: Authorised): void => {
      if (allowed instanceof Error) link.fail(allowed)
      else if (allowed === FAILURE) broker.sessions.unsubscribe(session, filter)
      // For this connection only: the next one may be granted more.
      else if (allowed.qos !== qos) broker.router.add(session, { ...subscription, qos: allowed.qos as QoS })
    }
    const allowed = authorise(broker, link.client, {
      topic: filter,
      qos,
      nl: noLocal,
      rap: retainAsPublished,
      rh: retainHandling
    })
    if (allowed instanceof Promise) void allowed.then(settle)
    else settle(allowed)
  }
}

type Authorised = RequestedSubscription | typeof FAILURE | Error

/** Calls the `authorizeSubscribe` hook; it sees a shared subscription without `$share/group/`. */
function authorise(broker: Broker, client: Client, requested: RequestedSubscription): Authorised | Promise<Authorised> {
  const shared = sharedParts(requested.topic)
  if (requested.topic.startsWith('$share/') && shared === undefined) return FAILURE
  const asked = shared === undefined ? requested : { ...requested, topic: shared.filter }
  let answer: Authorised | undefined
  let resolve: ((answer: Authorised) => void) | undefined
  broker.authorizeSubscribe(client, asked as AedesSubscription, (error, subscription) => {
    answer = error ?? grantOrFailure(subscription, shared?.group)
    resolve?.(answer)
  })
  return (
    answer ??
    new Promise(settle => {
      resolve = settle
    })
  )
}

/** Checks the result of a hook; anything but a valid subscription is a refusal. */
function grantOrFailure(answer: unknown, group: string | undefined): Authorised {
  if (typeof answer !== 'object' || answer === null) return FAILURE
  const { topic, qos = 0, ...rest } = answer as Partial<RequestedSubscription>
  if (typeof topic !== 'string' || !isTopicFilter(topic) || (qos !== 0 && qos !== 1 && qos !== 2)) return FAILURE
  return { ...rest, topic: group === undefined ? topic : `$share/${group}/${topic}`, qos }
}

function isFilter(filter: unknown): filter is string {
  return typeof filter === 'string' && isTopicFilter(filter)
}

function grantOf(
  broker: Broker,
  session: Session,
  requested: RequestedSubscription,
  allowed: RequestedSubscription | typeof FAILURE,
  version: number
): Grant {
  if (allowed === FAILURE) {
    return {
      requested,
      code: version === MQTT_5 ? NOT_AUTHORIZED : FAILURE,
      subscription: undefined,
      sendsRetained: false
    }
  }
  const subscription: Subscription = {
    filter: allowed.topic,
    qos: allowed.qos as QoS,
    noLocal: allowed.nl === true,
    retainAsPublished: allowed.rap === true,
    retainHandling: allowed.rh ?? 0,
    identifier: allowed.subscriptionIdentifier
  }
  const isNew = broker.sessions.subscribe(session, subscription)
  const { retainHandling, filter } = subscription
  const sendsRetained = sharedParts(filter) === undefined && (retainHandling === 0 || (retainHandling === 1 && isNew))
  return { requested, code: subscription.qos, subscription, sendsRetained }
}

/** Publishes a `$SYS` message as brokers of a cluster do. */
function publishSys(broker: Broker, topic: string, content: object): void {
  broker.publish(
    {
      cmd: 'publish',
      topic: `$SYS/${broker.id}/${topic}`,
      payload: Buffer.from(JSON.stringify(content)),
      qos: 0,
      retain: false,
      dup: false
    },
    null
  )
}

/** Retained messages sent to a client in one turn of the event loop. */
const MAX_PER_TURN = 500

/** Sends pending retained messages to one client as fast as it reads them. */
export class RetainedDelivery {
  /** By topic, so that repeated subscriptions do not make it grow. */
  readonly #pending = new Map<string, Target<Session>>()
  #isScheduled = false
  readonly #broker: Broker
  readonly #link: Link

  constructor(broker: Broker, link: Link) {
    this.#broker = broker
    this.#link = link
  }

  /** Adds the retained messages for the subscriptions of one SUBSCRIBE. */
  add(subscriptions: readonly Subscription[]): void {
    const { session } = this.#link
    if (session === undefined) return
    const byTopic = new Map<string, Subscription[]>()
    for (const subscription of subscriptions) {
      for (const topic of this.#broker.retained.topics(subscription.filter)) {
        const others = byTopic.get(topic)
        if (others === undefined) byTopic.set(topic, [subscription])
        else others.push(subscription)
      }
    }
    for (const [topic, matching] of byTopic) this.#pending.set(topic, targetOf(session, matching))
    this.send()
  }

  /** Sends as many messages as the client can take now. */
  send(): void {
    let sent = 0
    for (const [topic, target] of this.#pending) {
      if (sent++ === MAX_PER_TURN) {
        this.#schedule()
        return
      }
      const message = this.#broker.retained.get(topic)
      if (message !== undefined && !this.#sendOne(target, message)) return
      this.#pending.delete(topic)
    }
  }

  /** The client has disconnected: moves pending messages to the queue of a persistent session. */
  close(): void {
    for (const [topic, target] of this.#pending) {
      const message = this.#broker.retained.get(topic)
      const qos = Math.min(message?.qos ?? 0, target.qos) as QoS
      if (
        message === undefined ||
        qos === 0 ||
        !target.session.isStored ||
        !target.session.queue.hasRoom(message.queuedBytes)
      )
        continue
      target.session.queue.enqueue({ message, qos, retain: true, identifiers: target.identifiers })
    }
    this.#pending.clear()
  }

  /** Sends a message; returns false if the client must read or acknowledge others first. */
  #sendOne(
    { session, qos: granted, identifiers }: Target<Session>,
    message: NonNullable<ReturnType<Broker['retained']['get']>>
  ): boolean {
    const qos = Math.min(message.qos, granted) as QoS
    if (qos === 0) {
      if (this.#link.isFull && !this.#link.drain()) return false
      this.#link.deliver(message, true, identifiers)
      return true
    }
    if (!session.queue.hasRoomInWindow) return false
    const allowed = this.#link.forward(message)
    if (allowed !== undefined) session.queue.enqueue({ message, qos, retain: true, identifiers }, allowed)
    return true
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      if (!this.#link.client.closed) this.send()
    })
  }
}
