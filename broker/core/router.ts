// Routes messages to sessions by the subscriptions of all clients, once per session.

import { SharedGroup } from './shared-group.js'
import { sharedParts, targetOf, type Subscription, type Target } from './subscription.js'
import { TopicTree } from './topic-tree.js'

/** Recipients of messages to one topic. */
export interface Route<Session> {
  readonly targets: readonly Target<Session>[]
  /** Shared subscriptions; each delivers the message to one of its members. */
  readonly groups: readonly SharedGroup<Session>[]
}

/** Subscribers of one filter. */
interface Subscribers<Session> {
  readonly sessions: Map<Session, Subscription>
  readonly groups: Map<string, SharedGroup<Session>>
}

/** Size of the route cache, and longest topic in it, characters: clients choose the topics. */
const MAX_ROUTES = 10_000
const MAX_ROUTE_TOPIC = 256

/** The subscriptions of all sessions. */
export class Router<Session> {
  readonly #filters = new TopicTree<Subscribers<Session>>()
  readonly #routes = new Map<string, Route<Session>>()
  #shared = 0

  /** Number of shared subscriptions; each member counts. */
  get shared(): number {
    return this.#shared
  }

  /** Adds a subscription, or replaces the one with the same filter. */
  add(session: Session, subscription: Subscription): void {
    this.#routes.clear()
    const shared = sharedParts(subscription.filter)
    const subscribers = this.#subscribersOf(shared?.filter ?? subscription.filter)
    if (shared === undefined) {
      subscribers.sessions.set(session, subscription)
      return
    }
    let group = subscribers.groups.get(shared.group)
    if (group === undefined) subscribers.groups.set(shared.group, (group = new SharedGroup()))
    if (group.add(session, subscription)) this.#shared++
  }

  /** Removes a subscription, if it exists. */
  remove(session: Session, filter: string): void {
    this.#routes.clear()
    const shared = sharedParts(filter)
    const path = shared?.filter ?? filter
    const subscribers = this.#filters.get(path)
    if (subscribers === undefined) return
    if (shared === undefined) subscribers.sessions.delete(session)
    else {
      const group = subscribers.groups.get(shared.group)
      if (group?.remove(session) === true) this.#shared--
      if (group?.size === 0) subscribers.groups.delete(shared.group)
    }
    if (subscribers.sessions.size === 0 && subscribers.groups.size === 0) this.#filters.delete(path)
  }

  /** Returns the recipients of messages to a topic. */
  route(topic: string): Route<Session> {
    const cached = this.#routes.get(topic)
    if (cached !== undefined) return cached
    const route = routeOf(this.#filters.matching(topic))
    if (topic.length > MAX_ROUTE_TOPIC) return route
    if (this.#routes.size >= MAX_ROUTES) this.#routes.clear()
    this.#routes.set(topic, route)
    return route
  }

  /** Returns the group of a shared subscription, `$share/group/filter`. */
  group(share: string): SharedGroup<Session> | undefined {
    const parts = sharedParts(share)
    return parts === undefined ? undefined : this.#filters.get(parts.filter)?.groups.get(parts.group)
  }

  #subscribersOf(filter: string): Subscribers<Session> {
    let subscribers = this.#filters.get(filter)
    if (subscribers === undefined) this.#filters.set(filter, (subscribers = { sessions: new Map(), groups: new Map() }))
    return subscribers
  }
}

function routeOf<Session>(matching: readonly Subscribers<Session>[]): Route<Session> {
  const bySession = new Map<Session, Subscription[]>()
  const groups: SharedGroup<Session>[] = []
  for (const subscribers of matching) {
    groups.push(...subscribers.groups.values())
    for (const [session, subscription] of subscribers.sessions) {
      const others = bySession.get(session)
      if (others === undefined) bySession.set(session, [subscription])
      else others.push(subscription)
    }
  }
  return { targets: [...bySession].map(([session, subscriptions]) => targetOf(session, subscriptions)), groups }
}
