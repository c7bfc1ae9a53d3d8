// What a client asked for with a topic filter, and what that means for a message.

import type { QoS } from './message.js'
import { encodeIdentifiers } from './wire.js'

/** What a client asked for with a topic filter; options of MQTT 5 (3.8.3.1) are false before. */
export interface Subscription {
  /** As the client sent it, `$share/group/` included. */
  readonly filter: string
  /** Granted maximum. */
  readonly qos: QoS
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** 0 always, 1 where the subscription is new, 2 never [MQTT-3.3.1-9] to [MQTT-3.3.1-11]. */
  readonly retainHandling: number
  /** undefined: none. */
  readonly identifier: number | undefined
}

/** All that is known of a topic for one session, whatever filters match. */
export interface Target<Session> {
  readonly session: Session
  /** Highest granted [MQTT-3.3.4-2]. */
  readonly qos: QoS
  readonly retainAsPublished: boolean
  /** The encoded identifiers of all matching subscriptions [MQTT-3.3.4-3], [MQTT-3.3.4-4]. */
  readonly identifiers: Buffer
  /** `$share/group/filter` where it is a member's of a shared subscription, else empty. */
  readonly share: string
  /** The same for what the session's own client publishes: undefined where No Local keeps it away [MQTT-3.8.3-3]. */
  readonly ownMessages: Target<Session> | undefined
}

const SHARED = /^\$share\/([^/]+)\/(.+)$/s

/** The parts of a shared subscription, `$share/group/filter`; undefined for an ordinary one [MQTT-4.8.2-1]. */
export function sharedParts(filter: string): { group: string; filter: string } | undefined {
  const parts = SHARED.exec(filter)
  return parts === null ? undefined : { group: parts[1], filter: parts[2] }
}

/** What several subscriptions of a session ask for together. */
export function targetOf<Session>(session: Session, subscriptions: readonly Subscription[]): Target<Session> {
  const own = subscriptions.filter(({ noLocal }) => !noLocal)
  const all = { session, share: '', ...combined(subscriptions) }
  if (own.length === 0) return { ...all, ownMessages: undefined }
  const ownMessages = own.length === subscriptions.length ? all : { session, share: '', ...combined(own) }
  return { ...all, ownMessages: { ...ownMessages, ownMessages: undefined } }
}

function combined(
  subscriptions: readonly Subscription[]
): Pick<Target<unknown>, 'qos' | 'retainAsPublished' | 'identifiers'> {
  const identifiers = subscriptions.flatMap(({ identifier }) => identifier ?? [])
  return {
    qos: Math.max(...subscriptions.map(({ qos }) => qos)) as QoS,
    retainAsPublished: subscriptions.some(({ retainAsPublished }) => retainAsPublished),
    identifiers: encodeIdentifiers(identifiers)
  }
}
