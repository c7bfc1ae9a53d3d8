// Publishers and subscribers of a run. All resume their sessions, with MQTT 3.1.1 and MQTT 5.

import type { ISubscription } from 'mqtt-packet'
import type { TrackedPublisher, TrackedSubscriber } from './delivery-tracker.js'

interface ClientSpec {
  version: 4 | 5
}

export interface PublisherSpec extends TrackedPublisher, ClientSpec {
  /** Whether its session also has a subscription. A session without one must survive, too. */
  subscribes: boolean
}

export interface SubscriberSpec extends TrackedSubscriber, ClientSpec {
  filters: readonly ISubscription[]
  /** Delay before it acknowledges, so that a kill finds many messages in flight, ms. */
  acknowledgeAfterMs?: number
  /** Whether it connects only occasionally, and at the end. */
  isAway?: boolean
}

const ROOT = 'durability'
const TOPICS = 3
const ALL = `${ROOT}/#`
const EACH = `${ROOT}/+/+`

/** Creates publishers, half with QoS 1 and half with QoS 2, each on its own topics. */
export function publishers(count: number): PublisherSpec[] {
  return Array.from({ length: count }, (_, i): PublisherSpec => ({
    name: `publisher-${i}`,
    qos: i % 2 === 0 ? 1 : 2,
    version: i % 4 < 2 ? 4 : 5,
    subscribes: i % 8 < 4,
    topics: Array.from({ length: TOPICS }, (_, k) => `${ROOT}/${i}/${k}`)
  }))
}

export const SUBSCRIBERS: readonly SubscriberSpec[] = [
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
