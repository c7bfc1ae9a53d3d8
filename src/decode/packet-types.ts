// Types of the MQTT control packets.

/** Packet types: the high four bits of the first byte [MQTT-2.1.2]. */
export const PacketType = Object.freeze({
  CONNECT: 1,
  CONNACK: 2,
  PUBLISH: 3,
  PUBACK: 4,
  PUBREC: 5,
  PUBREL: 6,
  PUBCOMP: 7,
  SUBSCRIBE: 8,
  SUBACK: 9,
  UNSUBSCRIBE: 10,
  UNSUBACK: 11,
  PINGREQ: 12,
  PINGRESP: 13,
  DISCONNECT: 14,
  AUTH: 15
})

/** Names of the packet types in mqtt-packet and Aedes, by number. */
export const PACKET_TYPE_NAMES: readonly string[] = [
  'reserved',
  ...Object.keys(PacketType).map(name => name.toLowerCase())
]
