// Tells what somebody does from what somebody must answer.

import type { MqttPacket } from '../types.js'

const PUBACK = 4
const PUBCOMP = 7

/**
 * Whether the sender sent the packet of its own accord. PUBACK, PUBREC, PUBREL and PUBCOMP answer the
 * other side: how many there are is the other side's doing.
 */
export function isInitiative({ header }: Pick<MqttPacket, 'header'>): boolean {
  const type = header >> 4
  return type < PUBACK || type > PUBCOMP
}
