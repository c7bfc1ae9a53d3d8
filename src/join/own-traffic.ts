// Tells the detection's own messages from everybody else's.

import type { Direction, MqttPacket } from '../types.js'

/** Prefix of every topic the detection publishes to. */
export const OWN_TOPIC_PREFIX = '$SYS/broker/artemis/'

const PUBLISH = 3
const OWN_PREFIX = Buffer.from(OWN_TOPIC_PREFIX)

/**
 * Whether the packet is an alert, status or score on its way to a subscriber. Such packets are not
 * scored: the detection would listen to itself. Only the broker can send them, since it lets nobody
 * publish under `$SYS`.
 */
export function isOwnPacket (direction: Direction, { header, topic }: MqttPacket, prefix: Uint8Array = OWN_PREFIX): boolean {
  return direction === 'out' && header >> 4 === PUBLISH && topic !== null &&
    topic.length >= prefix.length && prefix.every((byte, i) => byte === topic[i])
}
