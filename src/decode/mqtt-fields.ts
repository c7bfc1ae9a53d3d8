// The fields in the bodies of MQTT control packets.

/** Fields in packet order, as far as packets share one. The fields before `Payload` are followed by another field. */
export const Field = Object.freeze({
  ProtocolNameLength: 0,
  ProtocolName: 1,
  ProtocolLevel: 2,
  ConnectFlags: 3,
  KeepAlive: 4,
  ClientIdLength: 5,
  ClientId: 6,
  WillPropertiesLength: 7,
  WillProperties: 8,
  WillTopicLength: 9,
  WillTopic: 10,
  WillPayloadLength: 11,
  WillPayload: 12,
  /** The two bytes of a CONNACK. */
  Acknowledgement: 13,
  PacketId: 14,
  PropertiesLength: 15,
  Properties: 16,
  TopicLength: 17,
  Topic: 18,
  /** Options of a subscription; the filters after the first follow. */
  Options: 19,
  FilterLength: 20,
  Filter: 21,
  Payload: 22,
  /** The rest of the packet, which is ignored. */
  Rest: 23
})

const NUMBERS = Uint8Array.from({ length: Field.Rest + 1 }, (_, field) =>
  Number(
    [
      Field.ProtocolNameLength,
      Field.ProtocolLevel,
      Field.ConnectFlags,
      Field.KeepAlive,
      Field.ClientIdLength,
      Field.WillPropertiesLength,
      Field.WillTopicLength,
      Field.WillPayloadLength,
      Field.Acknowledgement,
      Field.PacketId,
      Field.PropertiesLength,
      Field.TopicLength,
      Field.FilterLength
    ].some(number => number === field)
  )
)

/** Whether a field is numeric. */
export function isNumber(field: number): boolean {
  return NUMBERS[field] === 1
}
