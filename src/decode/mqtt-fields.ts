// The fields that the bodies of MQTT control packets are made of.

/** Fields in the order in which they come, as far as packets share one; those before `Payload` are followed by another. */
export const Field = Object.freeze({
  ProtocolNameLength: 0,
  ProtocolName: 1,
  ProtocolLevel: 2,
  ConnectFlags: 3,
  KeepAlive: 4,
  ClientIdLength: 5,
  ClientId: 6,
  /** The two bytes of a CONNACK. */
  Acknowledgement: 7,
  PacketId: 8,
  PropertiesLength: 9,
  Properties: 10,
  TopicLength: 11,
  Topic: 12,
  /** Options of a subscription, and the filters after the first. */
  Options: 13,
  FilterLength: 14,
  Filter: 15,
  Payload: 16,
  /** The remainder of a packet, of which nothing more is wanted. */
  Rest: 17
})

const NUMBERS = Uint8Array.from({ length: Field.Rest + 1 }, (_, field) => Number([
  Field.ProtocolNameLength, Field.ProtocolLevel, Field.ConnectFlags, Field.KeepAlive, Field.ClientIdLength, Field.Acknowledgement,
  Field.PacketId, Field.PropertiesLength, Field.TopicLength, Field.FilterLength
].some((number) => number === field)))

/** Whether the bytes of a field are a number. */
export function isNumber (field: number): boolean {
  return NUMBERS[field] === 1
}
