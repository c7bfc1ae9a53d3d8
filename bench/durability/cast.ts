// Who publishes and who subscribes: all of them resume their sessions, with MQTT 3.1.1 and MQTT 5.

import type { ISubscription } from 'mqtt-packet'
import type { PublisherAccount, SubscriberAccount } from './ledger.js'

/** What both sides have. */
interface Part {
  version: 4 | 5
}

/** A publisher. */
export interface PublisherPart extends PublisherAccount, Part {
  /** Whether its session has a subscription as well: one without must be kept, too. */
  subscribes: boolean
}

/** A subscriber. */
export interface SubscriberPart extends SubscriberAccount, Part {
  filters: readonly ISubscription[]
  /** It leaves what it gets unacknowledged for so long, so that a kill finds much of it under way. */
  acknowledgeAfterMs?: number
  /** It comes only now and then, and at the end. */
  isAway?: boolean
}

const ROOT = 'durability'
const TOPICS = 3
const ALL = `${ROOT}/#`
const EACH = `${ROOT}/+/+`

/** Half of them with QoS 1, half with QoS 2, each on topics of its own. */
export function publishers(count: number): PublisherPart[] {
  return Array.from({ length: count }, (_, i): PublisherPart => ({
    name: `publisher-${i}`,
    qos: i % 2 === 0 ? 1 : 2,
    version: i % 4 < 2 ? 4 : 5,
    subscribes: i % 8 < 4,
    topics: Array.from({ length: TOPICS }, (_, k) => `${ROOT}/${i}/${k}`)
  }))
}

export const SUBSCRIBERS: readonly SubscriberPart[] = [
  { name: 'QoS 2', version: 4, qos: 2, filters: [{ topic: ALL, qos: 2 }] },
  { name: 'QoS 2, MQTT 5, slow', version: 5, qos: 2, filters: [{ topic: EACH, qos: 2 }], acknowledgeAfterMs: 5 },
  {
    name: 'QoS 2, overlapping filters',
    version: 5,
    qos: 2,
    filters: [
      { topic: ALL, qos: 1 },
      { topic: EACH, qos: 2 }
    ]
  },
  { name: 'QoS 1', version: 4, qos: 1, filters: [{ topic: EACH, qos: 1 }], acknowledgeAfterMs: 5 },
  { name: 'QoS 1, MQTT 5', version: 5, qos: 1, filters: [{ topic: ALL, qos: 1 }] },
  { name: 'QoS 2, mostly away', version: 4, qos: 2, filters: [{ topic: ALL, qos: 2 }], isAway: true }
]
