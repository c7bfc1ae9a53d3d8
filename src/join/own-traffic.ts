// Tells the detection's own messages from everybody else's.

import type { Direction, MqttPacket } from '../types.js'

/** Prefix of every topic the detection publishes to. */
export const OWN_TOPIC_PREFIX = '$SYS/broker/artemis/'
/** Prefix of the topics by which it is asked and answers. */
export const CONTROL_TOPIC_PREFIX = '$CONTROL/artemis/'

const PUBLISH = 3
const OWN_PREFIXES: readonly Uint8Array[] = [OWN_TOPIC_PREFIX, CONTROL_TOPIC_PREFIX].map(prefix => Buffer.from(prefix))

/**
 * Whether the packet is an alert, status, score or answer on its way to a client. Such packets are not
 * scored: the detection would listen to itself. Only the broker can send them, since what a
 * client publishes under these prefixes goes to nobody.
 */
export function isOwnPacket (direction: Direction, { header, topic }: MqttPacket, prefixes: readonly Uint8Array[] = OWN_PREFIXES): boolean {
  return direction === 'out' && header >> 4 === PUBLISH && topic !== null &&
    prefixes.some(prefix => topic.length >= prefix.length && prefix.every((byte, i) => byte === topic[i]))
}
