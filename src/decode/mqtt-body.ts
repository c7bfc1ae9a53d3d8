// Incremental parser for the body of one MQTT control packet: version, topic, payload.
import { fnv, FNV_BASIS } from '../fnv.js'
import { FieldPrefix } from './field-prefix.js'
import { MessageHash } from './message-hash.js'
import { connackFacts, connectFacts, malformedFacts, packetIdFacts } from './mqtt-facts.js'
import { Field, isNumber } from './mqtt-fields.js'
import { FilterCounts } from './mqtt-filters.js'
import { PacketType } from './packet-types.js'
import { MAX_VARINT_SHIFT } from './varint.js'

const QOS_FLAGS = 0x06
const VERSION_5 = 5
/** Lengths of the protocol names `MQTT` and `MQIsdp`. */
const NAME_LENGTH = 4
const OLD_NAME_LENGTH = 6
const WILL_FLAG = 0x04

/** State shared by both directions of a connection. */
export interface MqttSession {
  /** Protocol level of the CONNECT: 3 for MQTT 3.1, 4 for 3.1.1, 5; 0 before the CONNECT, treated as 4. */
  version: number
}

const UNKNOWN: MqttSession = { version: 0 }

/** Limits of what is kept of a packet. */
export interface MqttBodyOptions {
  /** Bytes kept of a topic. */
  topicCapBytes: number
  /** Bytes kept of a payload. */
  payloadCapBytes: number
}

/** Parses one body at a time. The caller passes no more bytes than the body's length. */
export class MqttBody {
  /** Declared length of a PUBLISH's topic or of the first filter of a SUBSCRIBE or UNSUBSCRIBE; null if none. */
  topicLength: number | null = null
  /** Length of a PUBLISH's payload; 0 until known. */
  payloadLength = 0
  /** Hash of a CONNECT's client id (FNV-1a, RFC 9923); 0 if none. */
  clientHash = 0
  /** Hash of a CONNECT's will; 0 if none. */
  willHash = 0

  #session: MqttSession = UNKNOWN
  readonly #topic: FieldPrefix
  readonly #payload: FieldPrefix
  readonly #will = new MessageHash()
  #hasWill = false
  #type = 0
  #facts = 0
  #hasGap = false
  #protocolNameLength = 0
  readonly #filters = new FilterCounts()
  #hasPacketId = false
  #hasPayload = false
  #field: number = Field.Rest
  /** Remaining bytes of the body. */
  #left = 0
  /** Remaining bytes of the field. */
  #fieldLeft = 0
  /** Value of a numeric field, as far as it was read. */
  #number = 0
  #shift = 0

  constructor(options: MqttBodyOptions) {
    this.#topic = new FieldPrefix(options.topicCapBytes)
    this.#payload = new FieldPrefix(options.payloadCapBytes)
  }

  /** The kept bytes of the topic. */
  get topic(): Uint8Array | null {
    return this.topicLength === null ? null : this.#topic.bytes
  }

  /** The kept bytes of the payload; null if there is no payload or part of it was not captured. */
  get payload(): Uint8Array | null {
    return this.#hasPayload ? this.#payload.bytes : null
  }

  /** Facts of the body, packed as in `mqtt-facts.ts`; complete once the whole body was read. */
  get facts(): number {
    const facts = this.#type === PacketType.SUBSCRIBE ? this.#filters.facts : this.#facts
    const isComplete = this.#type === PacketType.PUBLISH ? this.#hasPayload : this.#field === Field.Rest
    return isComplete || this.#hasGap ? facts : malformedFacts(facts)
  }

  /** Starts a body of `length` bytes of a packet with first byte `header`; a CONNECT sets the session's version. */
  begin(header: number, length: number, session: MqttSession): void {
    this.#session = session
    this.topicLength = null
    this.payloadLength = 0
    this.#hasPayload = false
    this.clientHash = 0
    this.willHash = 0
    this.#left = length
    this.#facts = 0
    this.#hasGap = false
    this.#filters.clear()
    const type = header >> 4
    this.#type = type
    this.#hasPacketId = (header & QOS_FLAGS) !== 0
    if (type === PacketType.PUBLISH) this.#expect(Field.TopicLength, 2)
    else if (type === PacketType.CONNECT) this.#expect(Field.ProtocolNameLength, 2)
    else if (type === PacketType.SUBSCRIBE || type === PacketType.UNSUBSCRIBE) this.#expect(Field.PacketId, 2)
    else if (type === PacketType.CONNACK) this.#expect(Field.Acknowledgement, 2)
    else if (type > PacketType.PUBLISH && type < PacketType.SUBSCRIBE) this.#expect(Field.PacketId, 2)
    else this.#expect(Field.Rest, Infinity)
  }

  /** Reads the body's next bytes: `bytes` from `from` to `to`. */
  read(bytes: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to;) at = this.#readField(bytes, at, to)
  }

  /** Skips bytes of the body that were not captured. */
  skip(length: number): void {
    if (length > 0) this.#hasGap = true
    for (let left = length; left > 0;) {
      if (isNumber(this.#field)) {
        // The skipped bytes include a length: only the packet's end is still known.
        this.#expect(Field.Rest, Infinity)
        continue
      }
      if (this.#field === Field.Topic) this.#topic.skip()
      else if (this.#field === Field.Payload) this.#payload.skip()
      const step = Math.min(left, this.#fieldLeft)
      left -= step
      this.#consume(step)
    }
  }

  /** Replaces views by copies, before the underlying bytes change. */
  own(): void {
    if (this.topicLength !== null) this.#topic.own()
    if (this.#hasPayload) this.#payload.own()
  }

  /** Releases the bytes of topic and payload. */
  release(): void {
    this.#topic.release()
    this.#payload.release()
  }

  /** Reads from `at` up to `to` within one field. Returns the offset after the bytes read. */
  #readField(bytes: Uint8Array, at: number, to: number): number {
    if (isNumber(this.#field)) {
      if (this.#field === Field.PropertiesLength || this.#field === Field.WillPropertiesLength)
        this.#readVarint(bytes[at])
      else this.#number = this.#number * 256 + bytes[at]
      this.#consume(1)
      return at + 1
    }
    const end = Math.min(to, at + this.#fieldLeft)
    if (this.#field === Field.Payload) this.#payload.add(bytes, at, end)
    else if (this.#field === Field.Topic) this.#topic.add(bytes, at, end)
    if (this.#type === PacketType.SUBSCRIBE && (this.#field === Field.Topic || this.#field === Field.Filter))
      this.#filters.read(bytes, at, end)
    else if (this.#field === Field.ClientId) this.#readClientId(bytes, at, end)
    else if (this.#field === Field.WillTopic || this.#field === Field.WillPayload) this.#will.add(bytes, at, end)
    this.#consume(end - at)
    return end
  }

  #readClientId(bytes: Uint8Array, at: number, end: number): void {
    this.clientHash = fnv(this.clientHash === 0 ? FNV_BASIS : this.clientHash, bytes, at, end) >>> 0
  }

  /** Reads one byte of a variable byte integer; its highest bit announces another byte. */
  #readVarint(byte: number): void {
    this.#number += (byte & 0x7f) << this.#shift
    if ((byte & 0x80) === 0) return
    if (this.#shift === MAX_VARINT_SHIFT) {
      this.#expect(Field.Rest, Infinity)
      return
    }
    this.#shift += 7
    this.#fieldLeft++
  }

  #expect(field: number, length: number): void {
    this.#field = field
    this.#fieldLeft = length
    this.#number = 0
    this.#shift = 0
  }

  /** Consumes `count` bytes of the field; at its end, moves to the next field that has bytes. */
  #consume(count: number): void {
    this.#left -= count
    this.#fieldLeft -= count
    while (this.#fieldLeft === 0 && this.#field < Field.Payload) this.#next(this.#number)
  }

  #next(number: number): void {
    switch (this.#field) {
      case Field.ProtocolNameLength:
        this.#protocolNameLength = number
        {
          this.#expect(Field.ProtocolName, number)
          return
        }
      case Field.ProtocolName: {
        this.#expect(Field.ProtocolLevel, 1)
        return
      }
      case Field.ProtocolLevel: {
        this.#handleLevel(number)
        return
      }
      case Field.ConnectFlags:
        this.#facts = number
        {
          this.#expect(Field.KeepAlive, 2)
          return
        }
      case Field.KeepAlive: {
        this.#handleKeepAlive(number)
        return
      }
      case Field.ClientIdLength: {
        this.#expect(Field.ClientId, number)
        return
      }
      case Field.ClientId: {
        this.#expectWill()
        return
      }
      case Field.WillPropertiesLength: {
        this.#expect(Field.WillProperties, number)
        return
      }
      case Field.WillProperties: {
        this.#expect(Field.WillTopicLength, 2)
        return
      }
      case Field.WillTopicLength:
        this.#will.begin()
        {
          this.#expect(Field.WillTopic, number)
          return
        }
      case Field.WillTopic: {
        this.#expect(Field.WillPayloadLength, 2)
        return
      }
      case Field.WillPayloadLength:
        this.#will.payload(number)
        {
          this.#expect(Field.WillPayload, number)
          return
        }
      case Field.WillPayload:
        if (!this.#hasGap) this.willHash = this.#will.value
        {
          this.#expect(Field.Rest, Infinity)
          return
        }
      case Field.Acknowledgement:
        this.#facts = connackFacts(number & 0xff)
        {
          this.#expect(Field.Rest, Infinity)
          return
        }
      case Field.PacketId:
        this.#facts = packetIdFacts(number)
        {
          if (this.#type > PacketType.PUBLISH && this.#type < PacketType.SUBSCRIBE) this.#expect(Field.Rest, Infinity)
          else this.#expectProperties()
          return
        }
      case Field.PropertiesLength: {
        this.#expect(Field.Properties, number)
        return
      }
      case Field.Properties: {
        this.#expectAfterProperties()
        return
      }
      case Field.TopicLength:
        this.topicLength = number
        this.#topic.begin(number)
        {
          this.#expectFilter(Field.Topic, number)
          return
        }
      case Field.FilterLength: {
        this.#expectFilter(Field.Filter, number)
        return
      }
      case Field.Options: {
        if (this.#left > 0) this.#expect(Field.FilterLength, 2)
        else this.#expect(Field.Rest, Infinity)
        return
      }
      case Field.Topic:
      case Field.Filter: {
        this.#expectAfterTopic()
        return
      }
      default: {
        this.#expect(Field.Rest, Infinity)
        return
      }
    }
  }

  #handleLevel(level: number): void {
    this.#session.version = level
    // Bridges set the highest bit.
    const version = level & 0x7f
    const isKnown =
      this.#protocolNameLength === OLD_NAME_LENGTH
        ? version === 3
        : this.#protocolNameLength === NAME_LENGTH && (version === 4 || version === VERSION_5)
    if (isKnown) {
      this.#expect(Field.ConnectFlags, 1)
      return
    }
    // Unknown protocol: treat the packet as malformed.
    this.#facts = malformedFacts(0)
    this.#expect(Field.Rest, Infinity)
  }

  #handleKeepAlive(keepAlive: number): void {
    this.#hasWill = (this.#facts & WILL_FLAG) !== 0
    this.#facts = connectFacts({ keepAlive, will: this.#hasWill })
    if (this.#session.version === VERSION_5) this.#expect(Field.PropertiesLength, 1)
    else this.#expect(Field.ClientIdLength, 2)
  }

  #expectWill(): void {
    if (!this.#hasWill) this.#expect(Field.Rest, Infinity)
    else if (this.#session.version === VERSION_5) this.#expect(Field.WillPropertiesLength, 1)
    else this.#expect(Field.WillTopicLength, 2)
  }

  #expectFilter(field: number, length: number): void {
    this.#filters.begin()
    this.#expect(field, length)
  }

  #expectAfterTopic(): void {
    if (this.#type === PacketType.SUBSCRIBE) this.#expect(Field.Options, 1)
    else if (this.#type !== PacketType.PUBLISH) this.#expect(Field.Rest, Infinity)
    else if (this.#hasPacketId) this.#expect(Field.PacketId, 2)
    else this.#expectProperties()
  }

  #expectProperties(): void {
    if (this.#session.version === VERSION_5) this.#expect(Field.PropertiesLength, 1)
    else this.#expectAfterProperties()
  }

  #expectAfterProperties(): void {
    if (this.#type === PacketType.CONNECT) {
      this.#expect(Field.ClientIdLength, 2)
      return
    }
    if (this.#type !== PacketType.PUBLISH) {
      this.#expect(Field.TopicLength, 2)
      return
    }
    this.#hasPayload = true
    this.payloadLength = this.#left
    this.#payload.begin(this.#left)
    this.#expect(Field.Payload, this.#left)
  }
}
