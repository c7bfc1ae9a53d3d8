// How many topics a client may publish to, and subscribe to.

import type { Aedes, Client, Subscription } from 'aedes'
import { arrivalOf } from '../listeners/arrival.js'
import type { Tally } from './tally.js'

/** The settings that this enforces. */
export interface TopicLimits {
  topicsPerClient: number | null
  subscriptionsPerClient: number | null
}

const refused = new WeakSet<object>()

/** Whether a subscription was refused here: a session must not keep it either. */
export function wasRefused (subscription: object): boolean {
  return refused.has(subscription)
}

/** Stands in Aedes' hooks; whoever decides on rights should stand before it, so that only what is allowed counts. */
export function limitTopics (aedes: Aedes, limits: TopicLimits, tally: Tally): void {
  const { authorizePublish, authorizeSubscribe } = aedes
  const { topicsPerClient, subscriptionsPerClient } = limits
  const topics = new WeakMap<Client, Set<number>>()
  const hit = (name: 'topicsPerClient' | 'subscriptionsPerClient', client: Client): void => {
    tally.hit(name, arrivalOf(client.conn)?.client.address ?? '', { client: client.id })
  }

  if (topicsPerClient !== null) {
    aedes.authorizePublish = (client, packet, done) => {
      // Without a client it is the broker's own.
      if (client === null || isWithin(topics, client, packet.topic, topicsPerClient)) {
        authorizePublish.call(aedes, client, packet, done)
        return
      }
      hit('topicsPerClient', client)
      done(new Error(`more than ${topicsPerClient} topics`))
    }
  }

  if (subscriptionsPerClient !== null) {
    const counts = new WeakMap<Client, SubscriptionCount>()
    aedes.authorizeSubscribe = (client, subscription, done) => {
      const count = counts.get(client) ?? new SubscriptionCount(client)
      counts.set(client, count)
      if (count.take(subscription.topic, subscriptionsPerClient)) {
        authorizeSubscribe.call(aedes, client, subscription, done)
        return
      }
      refused.add(subscription)
      hit('subscriptionsPerClient', client)
      done(null, null)
    }
  }
}

function isWithin (all: WeakMap<Client, Set<number>>, client: Client, topic: string, limit: number): boolean {
  let known = all.get(client)
  if (known === undefined) all.set(client, known = new Set())
  const hash = hashOf(topic)
  if (known.has(hash)) return true
  if (known.size >= limit) return false
  known.add(hash)
  return true
}

/** 53 bits of a topic (FNV-1a, twice): the topics themselves may be long, and a collision lets one more through. */
function hashOf (topic: string): number {
  let low = 0x811c9dc5
  let high = 0x01000193
  for (let i = 0; i < topic.length; i++) {
    const code = topic.charCodeAt(i)
    low = Math.imul(low ^ code, 0x01000193)
    high = Math.imul(high ^ code, 0x85ebca6b)
  }
  return (high >>> 11) * 2 ** 32 + (low >>> 0)
}

/** How many subscriptions a client holds, counted once for each SUBSCRIBE: Aedes keeps them in an object. */
class SubscriptionCount {
  private count = 0
  private isFresh = false
  private readonly asked = new Set<string>()

  constructor (private readonly client: Client) {}

  /** Whether there is room for another filter, which is taken then. */
  take (filter: string, limit: number): boolean {
    const { subscriptions } = this.client as unknown as { subscriptions: Record<string, Subscription> }
    if (!this.isFresh) {
      this.isFresh = true
      this.count = Object.keys(subscriptions).length
      setImmediate(() => {
        this.isFresh = false
        this.asked.clear()
      })
    }
    if (filter in subscriptions || this.asked.has(filter)) return true
    if (this.count >= limit) return false
    this.count++
    this.asked.add(filter)
    return true
  }
}
