// Limits of the topics that a client publishes to and of its subscriptions.

import type { Aedes, Client } from 'aedes-2'
import { hashText } from '../../src/fnv.js'
import { linkOf } from '../core/link.js'
import { acceptedOf } from '../listeners/accepted-connection.js'
import type { LimitCounters } from './limit-counters.js'

/** The enforced settings. */
export interface TopicLimits {
  topicsPerClient: number | null
  subscriptionsPerClient: number | null
}

/** Hooks the limits into Aedes. Hook authorization later: it then runs first, and denied topics do not count. */
export function limitTopics(aedes: Aedes, limits: TopicLimits, limitCounters: LimitCounters): void {
  const { authorizePublish, authorizeSubscribe } = aedes
  const { topicsPerClient, subscriptionsPerClient } = limits
  const topics = new WeakMap<Client, Set<number>>()
  const hit = (name: 'topicsPerClient' | 'subscriptionsPerClient', client: Client): void => {
    limitCounters.hit(name, acceptedOf(client.conn)?.client.address ?? '', { client: client.id })
  }

  if (topicsPerClient !== null) {
    aedes.authorizePublish = (client, packet, done) => {
      // No client: published by the broker itself.
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
  let topics = all.get(client)
  if (topics === undefined) all.set(client, (topics = new Set()))
  const hash = hashOf(topic)
  if (topics.has(hash)) return true
  if (topics.size >= limit) return false
  topics.add(hash)
  return true
}

/** 53-bit hash of a topic (FNV-1a, twice). Topics may be long, and a collision only lets one more topic through. */
function hashOf(topic: string): number {
  const high = hashText(topic, 0x01000193, 0x85ebca6b)
  return (high >>> 11) * 2 ** 32 + hashText(topic)
}
