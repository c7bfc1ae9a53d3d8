// MQTT control packets out of one direction of a stream: incremental, total, one pass, nothing copied that is not kept.
import type { MqttPacket } from '../types.js'
import { KeptBytes } from './kept-bytes.js'

/** Control packet types that the walker looks into [MQTT-2.1.2]. */
const CONNECT = 1
const PUBLISH = 3
const SUBSCRIBE = 8
const UNSUBSCRIBE = 10

const VERSION_5 = 5
/** A variable byte integer has at most 4 bytes [MQTT-1.5.5-1]. */
const MAX_VARINT_SHIFT = 21

/** What both directions of a connection share. */
export interface MqttSession {
  /** Protocol level of its CONNECT: 3 for MQTT 3.1, 4 for 3.1.1, 5; 0 as long as none was seen, which is read as 4. */
  version: number
}

/** What a walker keeps of packets. */
export interface MqttWalkerOptions {
  /** Bytes kept of a topic. */
  topicCapBytes: number
  /** Bytes kept of a payload. */
  payloadCapBytes: number
  /** Shared by the two walkers of a connection. */
  session: MqttSession
}

/** Where in a packet the walker stands; comparisons rely on the order. */
const Stage = Object.freeze({
  Header: 0,
  RemainingLength: 1,
  ProtocolNameLength: 2,
  ProtocolName: 3,
  ProtocolLevel: 4,
  PacketId: 5,
  PropertiesLength: 6,
  Properties: 7,
  TopicLength: 8,
  Topic: 9,
  Payload: 10,
  /** The remainder of a packet, of which nothing more is wanted. */
  Rest: 11,
  /** Where the next packet begins is not known. */
  Lost: 12,
  /** The stream is not MQTT from here on. */
  Malformed: 13
})

/**
 * Walks over the control packets of one direction. Bytes come in any portions; every packet is
 * reported when its last byte is there. Never throws on bytes. `topic` and `payload` of a packet
 * may be views of the pushed bytes: use or copy them before these change.
 */
export class MqttWalker {
  readonly #session: MqttSession
  readonly #topic: KeptBytes
  readonly #payload: KeptBytes
  #stage: number = Stage.Header
  #offset = 0
  #header = 0
  #remainingLength = 0
  #size = 0
  #shift = 0
  /** Offset at which the packet in progress ends. */
  #end = 0
  /** Number that is being read, and how many bytes of it (or of a stretch to skip) are to come. */
  #number = 0
  #wanted = 0
  #topicLength: number | null = null
  #payloadLength = 0
  #hasPayload = false

  constructor (options: MqttWalkerOptions) {
    this.#session = options.session
    this.#topic = new KeptBytes(options.topicCapBytes)
    this.#payload = new KeptBytes(options.payloadCapBytes)
  }

  /** Bytes of the stream seen or skipped so far. */
  get offset (): number { return this.#offset }

  /** Whether the stream stands at the boundary between two packets. */
  get boundary (): boolean { return this.#stage === Stage.Header }

  /** Whether a remaining length of more than four bytes came [MQTT-1.5.5-1]; nothing is read after it. */
  get malformed (): boolean { return this.#stage === Stage.Malformed }

  /** Whether a gap hid where the next packet begins; `resync` ends that. */
  get lost (): boolean { return this.#stage === Stage.Lost }

  /** Size of the packet in progress, fixed header included, as soon as it is declared; else 0. */
  get declared (): number {
    return this.#stage > Stage.RemainingLength && this.#stage < Stage.Lost ? this.#size + this.#remainingLength : 0
  }

  /** Declares that the next byte pushed begins a packet. */
  resync (): void {
    this.#stage = Stage.Header
  }

  /** Takes the next bytes of the stream. */
  push (bytes: Uint8Array, onPacket: (packet: MqttPacket) => void): void {
    const start = this.#offset
    const length = bytes.length
    let at = 0
    while (at < length) {
      if (this.#stage === Stage.Header) {
        this.#header = bytes[at++]!
        this.#size = 1
        this.#remainingLength = 0
        this.#shift = 0
        this.#stage = Stage.RemainingLength
      } else if (this.#stage === Stage.RemainingLength) {
        this.#readRemainingLength(bytes[at++]!, start + at)
      } else if (this.#stage >= Stage.Lost) {
        break
      } else {
        const stop = Math.min(length, this.#end - start)
        while (at < stop) at = this.#readBody(bytes, at, stop, start)
      }
      if (this.#stage > Stage.RemainingLength && start + at === this.#end) {
        this.#offset = this.#end
        this.#finish(onPacket)
      }
    }
    this.#offset = start + length
    if (this.declared === 0) return
    if (this.#topicLength !== null) this.#topic.own()
    if (this.#hasPayload) this.#payload.own()
  }

  /**
   * Steps over `length` bytes that nobody saw. A packet known to end among them is reported to
   * `onPacket`; the walker stays in step only where the next packet's beginning is still known.
   */
  skip (length: number, onPacket?: (packet: MqttPacket) => void): void {
    const target = this.#offset + length
    if (length === 0 || this.#stage >= Stage.Lost) {
      this.#offset = target
      return
    }
    if (this.#stage <= Stage.RemainingLength) {
      this.#stage = Stage.Lost
      this.#offset = target
      return
    }
    this.#skipBody(Math.min(length, this.#end - this.#offset))
    if (target >= this.#end) {
      this.#offset = this.#end
      this.#finish(onPacket)
      if (target > this.#end) this.#stage = Stage.Lost
    }
    this.#offset = target
  }

  #readRemainingLength (byte: number, next: number): void {
    this.#size++
    this.#remainingLength += (byte & 0x7f) << this.#shift
    if ((byte & 0x80) === 0) {
      this.#end = next + this.#remainingLength
      this.#beginBody()
    } else if (this.#shift === MAX_VARINT_SHIFT) {
      this.#stage = Stage.Malformed
    } else {
      this.#shift += 7
    }
  }

  #beginBody (): void {
    this.#topicLength = null
    this.#payloadLength = 0
    this.#hasPayload = false
    switch (this.#header >> 4) {
      case CONNECT: return this.#expect(Stage.ProtocolNameLength, 2)
      case PUBLISH: return this.#expect(Stage.TopicLength, 2)
      case SUBSCRIBE:
      case UNSUBSCRIBE: return this.#expect(Stage.PacketId, 2)
      default: this.#expect(Stage.Rest, Infinity)
    }
  }

  /** Enters a stage of which `wanted` bytes are to come; `Rest` takes whatever there is. */
  #expect (stage: number, wanted: number): void {
    this.#stage = stage
    this.#wanted = wanted
    this.#number = 0
    this.#shift = 0
  }

  /** Reads from `at`, not beyond `stop`, within one stage; gives where it stopped. */
  #readBody (bytes: Uint8Array, at: number, stop: number, start: number): number {
    let next = at + 1
    switch (this.#stage) {
      case Stage.PropertiesLength:
        this.#readPropertiesLength(bytes[at]!)
        break
      case Stage.ProtocolNameLength:
      case Stage.ProtocolLevel:
      case Stage.TopicLength:
        this.#number = this.#number * 256 + bytes[at]!
        this.#wanted--
        break
      default:
        next = Math.min(stop, at + this.#wanted)
        if (this.#stage === Stage.Topic) this.#topic.add(bytes, at, next)
        else if (this.#stage === Stage.Payload) this.#payload.add(bytes, at, next)
        this.#wanted -= next - at
    }
    this.#advance(start + next)
    return next
  }

  #readPropertiesLength (byte: number): void {
    this.#number += (byte & 0x7f) << this.#shift
    if ((byte & 0x80) === 0) this.#wanted = 0
    else if (this.#shift === MAX_VARINT_SHIFT) this.#expect(Stage.Rest, Infinity)
    else this.#shift += 7
  }

  /** Goes on to the next stage that wants bytes; `position` is the offset reached. */
  #advance (position: number): void {
    while (this.#wanted === 0 && this.#stage < Stage.Payload) {
      const number = this.#number
      switch (this.#stage) {
        case Stage.ProtocolNameLength:
          this.#expect(Stage.ProtocolName, number)
          break
        case Stage.ProtocolName:
          this.#expect(Stage.ProtocolLevel, 1)
          break
        case Stage.ProtocolLevel:
          this.#session.version = number
          this.#expect(Stage.Rest, Infinity)
          break
        case Stage.PropertiesLength:
          this.#expect(Stage.Properties, number)
          break
        case Stage.TopicLength:
          this.#topicLength = number
          this.#topic.begin(number)
          this.#expect(Stage.Topic, number)
          break
        case Stage.Topic:
          if (!this.#isPublish) this.#expect(Stage.Rest, Infinity)
          else if ((this.#header & 0x06) !== 0) this.#expect(Stage.PacketId, 2)
          else this.#expectProperties(position)
          break
        case Stage.PacketId:
          this.#expectProperties(position)
          break
        default:
          this.#expectAfterProperties(position)
      }
    }
  }

  get #isPublish (): boolean { return this.#header >> 4 === PUBLISH }

  #expectProperties (position: number): void {
    // A count of bytes to come is not known before they are read: 1 stands for "at least one".
    if (this.#session.version === VERSION_5) this.#expect(Stage.PropertiesLength, 1)
    else this.#expectAfterProperties(position)
  }

  #expectAfterProperties (position: number): void {
    if (!this.#isPublish) return this.#expect(Stage.TopicLength, 2)
    this.#hasPayload = true
    this.#payloadLength = this.#end - position
    this.#payload.begin(this.#payloadLength)
    this.#expect(Stage.Payload, this.#payloadLength)
  }

  #skipBody (length: number): void {
    let left = length
    let position = this.#offset
    while (left > 0) {
      switch (this.#stage) {
        case Stage.ProtocolNameLength:
        case Stage.ProtocolLevel:
        case Stage.PropertiesLength:
        case Stage.TopicLength:
          // A length that nobody saw: only the packet's own end is still known.
          this.#expect(Stage.Rest, Infinity)
          break
        default: {
          if (this.#stage === Stage.Topic) this.#topic.skip()
          else if (this.#stage === Stage.Payload) this.#payload.skip()
          const step = Math.min(left, this.#wanted)
          this.#wanted -= step
          left -= step
          position += step
          this.#advance(position)
        }
      }
    }
  }

  #finish (onPacket?: (packet: MqttPacket) => void): void {
    this.#stage = Stage.Header
    onPacket?.({
      header: this.#header,
      remainingLength: this.#remainingLength,
      size: this.#size + this.#remainingLength,
      end: this.#offset,
      topicLength: this.#topicLength,
      topic: this.#topicLength === null ? null : this.#topic.bytes,
      payload: this.#hasPayload ? this.#payload.bytes : null,
      payloadLength: this.#payloadLength
    })
  }
}
