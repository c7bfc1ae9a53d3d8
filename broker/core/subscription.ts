// Subscriptions, and their combined effect on a message.

import type { QoS } from './message.js'
import { encodeIdentifiers } from './wire.js'

/** A subscription; MQTT 5 options (3.8.3.1) are false for older clients. */
export interface Subscription {
  /** As sent by the client, including `$share/group/`. */
  readonly filter: string
  /** Granted QoS. */
  readonly qos: QoS
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** 0: always, 1: if the subscription is new, 2: never [MQTT-3.3.1-9] to [MQTT-3.3.1-11]. */
  readonly retainHandling: number
  /** undefined: none. */
  readonly identifier: number | undefined
}

/** How one session receives messages of a topic: all its matching subscriptions combined. */
export interface Target<Session> {
  readonly session: Session
  /** Highest granted QoS [MQTT-3.3.4-2]. */
  readonly qos: QoS
  readonly retainAsPublished: boolean
  /** The encoded identifiers of all matching subscriptions [MQTT-3.3.4-3], [MQTT-3.3.4-4]. */
  readonly identifiers: Buffer
  /** `$share/group/filter` for a member of a shared subscription, else empty. */
  readonly share: string
  /** The target for messages of the session's own client: undefined if No Local excludes them [MQTT-3.8.3-3]. */
  readonly ownMessages: Target<Session> | undefined
}

const SHARED = /^\$share\/([^/]+)\/(.+)$/s

/** Returns the parts of a shared subscription, `$share/group/filter`; undefined for others [MQTT-4.8.2-1]. */
export function sharedParts(filter: string): { group: string; filter: string } | undefined {
  const parts = SHARED.exec(filter)
  return parts === null ? undefined : { group: parts[1], filter: parts[2] }
}

/** Combines the subscriptions of a session that match a topic. */
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
