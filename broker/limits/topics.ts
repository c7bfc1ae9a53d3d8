// How many topics a client may publish to, and subscribe to.

import type { Aedes, Client } from 'aedes'
import { linkOf } from '../core/link.js'
import { acceptedOf } from '../listeners/accepted-connection.js'
import type { LimitCounters } from './limit-counters.js'

/** The settings that this enforces. */
export interface TopicLimits {
  topicsPerClient: number | null
  subscriptionsPerClient: number | null
}

/** Stands in Aedes' hooks; whoever decides on rights should stand before it, so that only what is allowed counts. */
export function limitTopics(aedes: Aedes, limits: TopicLimits, tally: LimitCounters): void {
  const { authorizePublish, authorizeSubscribe } = aedes
  const { topicsPerClient, subscriptionsPerClient } = limits
  const topics = new WeakMap<Client, Set<number>>()
  const hit = (name: 'topicsPerClient' | 'subscriptionsPerClient', client: Client): void => {
    tally.hit(name, acceptedOf(client.conn)?.client.address ?? '', { client: client.id })
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
    aedes.authorizeSubscribe = (client, subscription, done) => {
      const { session } = linkOf(client)
      const isKnown = session === undefined || session.subscriptions.has(subscription.topic)
      if (isKnown || session.subscriptions.size < subscriptionsPerClient)
        authorizeSubscribe.call(aedes, client, subscription, done)
      else {
        hit('subscriptionsPerClient', client)
        done(null, null)
      }
    }
  }
}

function isWithin(all: WeakMap<Client, Set<number>>, client: Client, topic: string, limit: number): boolean {
  let known = all.get(client)
  if (known === undefined) all.set(client, (known = new Set()))
  const hash = hashOf(topic)
  if (known.has(hash)) return true
  if (known.size >= limit) return false
  known.add(hash)
  return true
}

/** 53 bits of a topic (FNV-1a, twice): the topics themselves may be long, and a collision lets one more through. */
function hashOf(topic: string): number {
  let low = 0x811c9dc5
  let high = 0x01000193
  for (let i = 0; i < topic.length; i++) {
    const code = topic.charCodeAt(i)
    low = Math.imul(low ^ code, 0x01000193)
    high = Math.imul(high ^ code, 0x85ebca6b)
  }
  return (high >>> 11) * 2 ** 32 + (low >>> 0)
}
