// Distinguishes packets that a sender initiates from acknowledgements.

import type { MqttPacket } from '../types.js'

const PUBACK = 4
const PUBCOMP = 7

/**
 * Whether the sender initiated the packet. PUBACK, PUBREC, PUBREL and PUBCOMP are responses: the other side determines
 * how many there are.
 */
export function isInitiated({ header }: Pick<MqttPacket, 'header'>): boolean {
  const type = header >> 4
  return type < PUBACK || type > PUBCOMP
}
