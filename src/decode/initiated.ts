// Distinguishes packets that a sender initiates from acknowledgements.

import { PacketType } from './packet-types.js'
import type { MqttPacket } from '../types.js'

/**
 * Whether the sender initiated the packet. PUBACK, PUBREC, PUBREL and PUBCOMP are responses: the other side determines
 * how many there are.
 */
export function isInitiated({ header }: Pick<MqttPacket, 'header'>): boolean {
  const type = header >> 4
  return type < PacketType.PUBACK || type > PacketType.PUBCOMP
}
