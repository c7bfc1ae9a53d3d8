// What MQTT 5 asks of a message on its way to a client: its size, and how long it lives.

import type { AedesPublishPacket, Client } from 'aedes'
import mqttPacket from 'mqtt-packet'

/** The parts of a client that Aedes does not declare. */
interface ClientInternals {
  /** Maximum Packet Size in bytes, where its CONNECT says one. */
  maximumPacketSize?: number
}

/** The parts of a message that Aedes does not declare. */
interface Ageing {
  /** Epoch ms after which it goes to nobody. */
  messageExpiry?: number
  properties?: AedesPublishPacket['properties'] & { messageExpiryInterval?: number }
}

/** Any identifier takes two bytes. */
const SOME_ID = 1

/** Whether a client does not take a PUBLISH of that size; it is then to be dropped as if it had gone out [MQTT-3.1.2-25]. */
export function isTooLarge (client: Client, packet: AedesPublishPacket): boolean {
  const { maximumPacketSize } = client as unknown as ClientInternals
  if (maximumPacketSize === undefined) return false
  if (packet.payload.length > maximumPacketSize) return true
  const whole = { ...packet, messageId: SOME_ID } as unknown as Parameters<typeof mqttPacket.generate>[0]
  return mqttPacket.generate(whole, { protocolVersion: 5 }).length > maximumPacketSize
}

/** A message with the time that it has left, rounded up to seconds [MQTT-3.3.2-6]; undefined where that is over [MQTT-3.3.2-5]. */
export function aged (packet: AedesPublishPacket, now = Date.now()): AedesPublishPacket | undefined {
  const { messageExpiry, properties } = packet as AedesPublishPacket & Ageing
  if (messageExpiry === undefined) return packet
  if (messageExpiry <= now) return undefined
  return { ...packet, properties: { ...properties, messageExpiryInterval: Math.ceil((messageExpiry - now) / 1_000) } } as AedesPublishPacket
}

/** Gives a retained message, which comes with the seconds that it has left, the time at which they are over. */
export function dated (packet: AedesPublishPacket, now = Date.now()): AedesPublishPacket {
  const { messageExpiry, properties } = packet as AedesPublishPacket & Ageing
  const seconds = properties?.messageExpiryInterval
  return messageExpiry !== undefined || seconds === undefined ? packet : Object.assign(packet, { messageExpiry: now + seconds * 1_000 })
}
