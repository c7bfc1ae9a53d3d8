// SUBSCRIBE and UNSUBSCRIBE of one client, and the retained messages that a subscription brings.

import type { Client, Subscription as AedesSubscription } from 'aedes'
import { isTopicFilter, levelsOf } from '../protocol/topics.js'
import { brokerParts, type RequestedSubscription } from './aedes-internals.js'
import type { Broker } from './broker.js'
import type { Link } from './link.js'
import type { QoS } from './message.js'
import { sharedParts, targetOf, type Subscription, type Target } from './subscription.js'
import type { Session } from './session.js'

/** A SUBSCRIBE, or what a plug-in subscribes a client to. */
export interface SubscribeRequest {
  /** undefined where no SUBACK is due. */
  messageId?: number
  subscriptions: readonly RequestedSubscription[]
  properties?: { subscriptionIdentifier?: number }
}

/** An UNSUBSCRIBE, or what a plug-in ends. */
export interface UnsubscribeRequest {
  messageId?: number
  unsubscriptions: readonly string[]
}

/** A filter, what came of it, and whether retained messages are due. */
interface Grant {
  requested: RequestedSubscription
  /** QoS, or a reason code from 0x80 on. */
  code: number
  subscription: Subscription | undefined
  isRetainedDue: boolean
}

const MQTT_5 = 5
const FAILURE = 0x80
const NOT_AUTHORIZED = 0x87
const NO_SUBSCRIPTION_EXISTED = 0x11

/** Decides on each filter in turn, so that nothing which the client sends afterwards overtakes it [MQTT-4.6.0-1]. */
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
    if (!isFilter(requested.topic)) throw new Error('a topic filter is not valid [MQTT-4.7.1-1]')
    if (properties?.subscriptionIdentifier !== undefined)
      requested.subscriptionIdentifier = properties.subscriptionIdentifier
    const allowed = authorise(broker, client, requested)
    const grant = allowed instanceof Promise ? await allowed : allowed
    if (client.closed) return
    if (grant instanceof Error) throw grant
    if (grant === FAILURE) link.denied(requested.topic)
    grants.push(grantOf(broker, session, requested, grant, link.version))
  }
  // Each filter once, with what came of it last.
  const granted = [
    ...new Map(
      grants.map(({ requested, code }) => [requested.topic, { ...requested, qos: code } as AedesSubscription])
    ).values()
  ]
  link.grant(
    messageId,
    grants.map(({ code }) => code),
    () => {
      broker.emit('subscribe', granted, client)
      tell(broker, 'new/subscribes', { clientId: client.id, subs: granted })
      link.retained.add(
        grants.flatMap(({ subscription, isRetainedDue }) =>
          isRetainedDue && subscription !== undefined ? subscription : []
        )
      )
    }
  )
}

/** Ends subscriptions. */
export function unsubscribe(broker: Broker, link: Link, { messageId, unsubscriptions }: UnsubscribeRequest): void {
  const { session, client } = link
  if (session === undefined) return
  const codes = unsubscriptions.map(filter =>
    broker.sessions.unsubscribe(session, filter) ? 0 : NO_SUBSCRIPTION_EXISTED
  )
  link.ungrant(messageId, codes, () => {
    emitUnsubscribed(broker, client, unsubscriptions)
  })
}

/** Tells who wants to know that subscriptions have ended. */
export function emitUnsubscribed(broker: Broker, client: Client, filters: readonly string[]): void {
  if (filters.length === 0) return
  broker.emit('unsubscribe', filters, client)
  tell(broker, 'new/unsubscribes', { clientId: client.id, subs: filters })
}

/** Asks again for what a session has that its client comes back to: rights may have changed meanwhile. */
export function reauthorise(broker: Broker, link: Link, session: Session): void {
  for (const subscription of [...session.subscriptions.values()]) {
    const { filter, qos, noLocal, retainAsPublished, retainHandling } = subscription
    const settle = (allowed: Authorised): void => {
      if (allowed instanceof Error) link.fail(allowed)
      else if (allowed === FAILURE) broker.sessions.unsubscribe(session, filter)
      // For this connection: the next one may have more.
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

/** What a hook makes of a filter; it sees the one of a shared subscription without `$share/group/`. */
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

/** What a hook answered; whatever is no subscription is a refusal. */
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
      isRetainedDue: false
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
  const isRetainedDue = sharedParts(filter) === undefined && (retainHandling === 0 || (retainHandling === 1 && isNew))
  return { requested, code: subscription.qos, subscription, isRetainedDue }
}

/** As brokers of a cluster tell each other. */
function tell(broker: Broker, topic: string, said: object): void {
  broker.publish(
    {
      cmd: 'publish',
      topic: `$SYS/${broker.id}/${topic}`,
      payload: Buffer.from(JSON.stringify(said)),
      qos: 0,
      retain: false,
      dup: false
    },
    null
  )
}

/** Messages that are given out in one turn of the event loop. */
const MOST_AT_ONCE = 500

/** The retained messages that are due to one client, given out at the pace at which it takes them. */
export class RetainedDelivery {
  /** By topic, each once: whoever subscribes again and again does not make it grow. */
  readonly #due = new Map<string, Target<Session>>()
  #isScheduled = false
  readonly #broker: Broker
  readonly #link: Link

  constructor(broker: Broker, link: Link) {
    this.#broker = broker
    this.#link = link
  }

  /** Subscriptions of one SUBSCRIBE, whose retained messages are due. */
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
    for (const [topic, matching] of byTopic) this.#due.set(topic, targetOf(session, matching))
    this.go()
  }

  /** Gives out what the client can take now. */
  go(): void {
    let given = 0
    for (const [topic, target] of this.#due) {
      if (given++ === MOST_AT_ONCE) {
        this.#later()
        return
      }
      const message = this.#broker.retained.get(topic)
      if (message !== undefined && !this.#give(target, message)) return
      this.#due.delete(topic)
    }
  }

  /** The client is gone: what its session keeps waits there. */
  close(): void {
    for (const [topic, target] of this.#due) {
      const message = this.#broker.retained.get(topic)
      const qos = Math.min(message?.qos ?? 0, target.qos) as QoS
      if (
        message === undefined ||
        qos === 0 ||
        !target.session.isStored ||
        !target.session.hasRoom(message.queuedBytes)
      )
        continue
      target.session.enqueue({ message, qos, retain: true, identifiers: target.identifiers })
    }
    this.#due.clear()
  }

  /** false where the client has to take others first. */
  #give(
    { session, qos: granted, identifiers }: Target<Session>,
    message: NonNullable<ReturnType<Broker['retained']['get']>>
  ): boolean {
    const qos = Math.min(message.qos, granted) as QoS
    if (qos === 0) {
      if (this.#link.isFull && !this.#link.drain()) return false
      this.#link.deliver(message, true, identifiers)
      return true
    }
    if (!session.hasRoomInWindow) return false
    const allowed = this.#link.forward(message)
    if (allowed !== undefined) session.enqueue({ message, qos, retain: true, identifiers }, allowed)
    return true
  }

  #later(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      if (!this.#link.client.closed) this.go()
    })
  }
}
