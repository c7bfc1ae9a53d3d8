// The body of one MQTT control packet, field by field, as its bytes come: version, topic, payload.
import { fnv, FNV_BASIS } from '../fnv.js'
import { FieldPrefix } from './field-prefix.js'
import { MessageHash } from './message-hash.js'
import { connackFacts, connectFacts, malformedFacts, packetIdFacts } from './mqtt-facts.js'
import { Field, isNumber } from './mqtt-fields.js'
import { FilterCounts } from './mqtt-filters.js'

/** Control packet types that are looked into [MQTT-2.1.2]. */
const CONNECT = 1
const CONNACK = 2
const PUBLISH = 3
const SUBSCRIBE = 8
const UNSUBSCRIBE = 10

const QOS_FLAGS = 0x06
const VERSION_5 = 5
/** Lengths of the protocol names `MQTT` and `MQIsdp`. */
const NAME_LENGTH = 4
const OLD_NAME_LENGTH = 6
const WILL_FLAG = 0x04
/** A variable byte integer has at most 4 bytes [MQTT-1.5.5-1]. */
const MAX_VARINT_SHIFT = 21

/** What both directions of a connection share. */
export interface MqttSession {
  /** Protocol level of its CONNECT: 3 for MQTT 3.1, 4 for 3.1.1, 5; 0 as long as none was seen, which is read as 4. */
  version: number
}

const UNKNOWN: MqttSession = { version: 0 }

/** What is kept of packets. */
export interface MqttBodyOptions {
  /** Bytes kept of a topic. */
  topicCapBytes: number
  /** Bytes kept of a payload. */
  payloadCapBytes: number
}

/** Reads one body after the other; never more than a body's length in all is to be given to it. */
export class MqttBody {
  /** Topic of a PUBLISH or first filter of a SUBSCRIBE or UNSUBSCRIBE, as declared; null where there is none. */
  topicLength: number | null = null
  /** Length of a PUBLISH's payload, 0 as long as it is not known. */
  payloadLength = 0
  /** Hash of a CONNECT's client id (FNV-1a, RFC 9923); 0 where there is none. */
  clientHash = 0
  /** Hash of a CONNECT's will; 0 where there is none. */
  willHash = 0

  #session: MqttSession = UNKNOWN
  readonly #topic: FieldPrefix
  readonly #payload: FieldPrefix
  readonly #will = new MessageHash()
  #hasWill = false
  #type = 0
  #facts = 0
  #holed = false
  #protocolNameLength = 0
  readonly #filters = new FilterCounts()
  #hasPacketId = false
  #hasPayload = false
  #field: number = Field.Rest
  /** Bytes of the body that are to come. */
  #left = 0
  /** Bytes of the field that are to come. */
  #wanted = 0
  /** The number that the field holds, as far as it was read. */
  #number = 0
  #shift = 0

  constructor(options: MqttBodyOptions) {
    this.#topic = new FieldPrefix(options.topicCapBytes)
    this.#payload = new FieldPrefix(options.payloadCapBytes)
  }

  /** The topic's bytes as far as they were kept. */
  get topic(): Uint8Array | null {
    return this.topicLength === null ? null : this.#topic.bytes
  }

  /** The payload's bytes as far as they were kept; null where there is no payload or part of it was never seen. */
  get payload(): Uint8Array | null {
    return this.#hasPayload ? this.#payload.bytes : null
  }

  /** What the body says, packed as in `mqtt-facts.ts`; complete once all of it was read. */
  get facts(): number {
    const facts = this.#type === SUBSCRIBE ? this.#filters.facts : this.#facts
    const isWhole = this.#type === PUBLISH ? this.#hasPayload : this.#field === Field.Rest
    return isWhole || this.#holed ? facts : malformedFacts(facts)
  }

  /** Begins the body of `length` bytes of a packet with this first byte; a CONNECT tells the session its version. */
  begin(header: number, length: number, session: MqttSession): void {
    this.#session = session
    this.topicLength = null
    this.payloadLength = 0
    this.#hasPayload = false
    this.clientHash = 0
    this.willHash = 0
    this.#left = length
    this.#facts = 0
    this.#holed = false
    this.#filters.clear()
    const type = header >> 4
    this.#type = type
    this.#hasPacketId = (header & QOS_FLAGS) !== 0
    if (type === PUBLISH) this.#expect(Field.TopicLength, 2)
    else if (type === CONNECT) this.#expect(Field.ProtocolNameLength, 2)
    else if (type === SUBSCRIBE || type === UNSUBSCRIBE) this.#expect(Field.PacketId, 2)
    else if (type === CONNACK) this.#expect(Field.Acknowledgement, 2)
    else if (type > PUBLISH && type < SUBSCRIBE) this.#expect(Field.PacketId, 2)
    else this.#expect(Field.Rest, Infinity)
  }

  /** Takes the body's next bytes, from `from` to `to` of `bytes`. */
  read(bytes: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to;) at = this.#readField(bytes, at, to)
  }

  /** Steps over bytes of the body that nobody saw. */
  skip(length: number): void {
    if (length > 0) this.#holed = true
    for (let left = length; left > 0;) {
      if (isNumber(this.#field)) {
        // A length that nobody saw: only the packet's own end is still known.
        this.#expect(Field.Rest, Infinity)
        continue
      }
      if (this.#field === Field.Topic) this.#topic.skip()
      else if (this.#field === Field.Payload) this.#payload.skip()
      const step = Math.min(left, this.#wanted)
      left -= step
      this.#take(step)
    }
  }

  /** Copies what are views of bytes that are about to change. */
  own(): void {
    if (this.topicLength !== null) this.#topic.own()
    if (this.#hasPayload) this.#payload.own()
  }

  /** Lets go of the bytes of topic and payload. */
  release(): void {
    this.#topic.release()
    this.#payload.release()
  }

  /** Reads from `at`, not beyond `to`, within one field; gives where it stopped. */
  #readField(bytes: Uint8Array, at: number, to: number): number {
    if (isNumber(this.#field)) {
      if (this.#field === Field.PropertiesLength || this.#field === Field.WillPropertiesLength)
        this.#readVarint(bytes[at])
      else this.#number = this.#number * 256 + bytes[at]
      this.#take(1)
      return at + 1
    }
    const end = Math.min(to, at + this.#wanted)
    if (this.#field === Field.Payload) this.#payload.add(bytes, at, end)
    else if (this.#field === Field.Topic) this.#topic.add(bytes, at, end)
    if (this.#type === SUBSCRIBE && (this.#field === Field.Topic || this.#field === Field.Filter))
      this.#filters.read(bytes, at, end)
    else if (this.#field === Field.ClientId) this.#readClientId(bytes, at, end)
    else if (this.#field === Field.WillTopic || this.#field === Field.WillPayload) this.#will.add(bytes, at, end)
    this.#take(end - at)
    return end
  }

  #readClientId(bytes: Uint8Array, at: number, end: number): void {
    this.clientHash = fnv(this.clientHash === 0 ? FNV_BASIS : this.clientHash, bytes, at, end) >>> 0
  }

  /** One more byte is wanted as long as the highest bit says so. */
  #readVarint(byte: number): void {
    this.#number += (byte & 0x7f) << this.#shift
    if ((byte & 0x80) === 0) return
    if (this.#shift === MAX_VARINT_SHIFT) {
      this.#expect(Field.Rest, Infinity)
      return
    }
    this.#shift += 7
    this.#wanted++
  }

  #expect(field: number, wanted: number): void {
    this.#field = field
    this.#wanted = wanted
    this.#number = 0
    this.#shift = 0
  }

  /** `count` bytes of the field were read: goes on to the next one that wants bytes. */
  #take(count: number): void {
    this.#left -= count
    this.#wanted -= count
    while (this.#wanted === 0 && this.#field < Field.Payload) this.#next(this.#number)
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
        this.#takeLevel(number)
        return
      }
      case Field.ConnectFlags:
        this.#facts = number
        {
          this.#expect(Field.KeepAlive, 2)
          return
        }
      case Field.KeepAlive: {
        this.#takeKeepAlive(number)
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
        if (!this.#holed) this.willHash = this.#will.value
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
          if (this.#type > PUBLISH && this.#type < SUBSCRIBE) this.#expect(Field.Rest, Infinity)
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

  #takeLevel(level: number): void {
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
    // What follows in another protocol nobody knows; the packet counts as one that ends too early.
    this.#facts = malformedFacts(0)
    this.#expect(Field.Rest, Infinity)
  }

  #takeKeepAlive(keepAlive: number): void {
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
    if (this.#type === SUBSCRIBE) this.#expect(Field.Options, 1)
    else if (this.#type !== PUBLISH) this.#expect(Field.Rest, Infinity)
    else if (this.#hasPacketId) this.#expect(Field.PacketId, 2)
    else this.#expectProperties()
  }

  #expectProperties(): void {
    if (this.#session.version === VERSION_5) this.#expect(Field.PropertiesLength, 1)
    else this.#expectAfterProperties()
  }

  #expectAfterProperties(): void {
    if (this.#type === CONNECT) {
      this.#expect(Field.ClientIdLength, 2)
      return
    }
    if (this.#type !== PUBLISH) {
      this.#expect(Field.TopicLength, 2)
      return
    }
    this.#hasPayload = true
    this.payloadLength = this.#left
    this.#payload.begin(this.#left)
    this.#expect(Field.Payload, this.#left)
  }
}
