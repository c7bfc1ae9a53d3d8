// Incremental single-pass parser for the MQTT control packets of one direction; copies only the bytes it keeps.
import type { MqttPacket, PartialPacket } from '../types.js'
import { MqttBody } from './mqtt-body.js'
import type { MqttBodyOptions, MqttSession } from './mqtt-body.js'
import { MAX_VARINT_SHIFT } from './varint.js'

export type { MqttBody, MqttSession } from './mqtt-body.js'

/** Options of a walker. */
export interface MqttWalkerOptions extends MqttBodyOptions {
  /** Shared by the two walkers of a connection. */
  session: MqttSession
  /** Pool of unused bodies, shared by walkers with the same caps: few of them have a packet in progress. */
  spare?: MqttBody[]
}

/** State of the walker; comparisons rely on the order. */
const Stage = Object.freeze({
  Header: 0,
  RemainingLength: 1,
  Body: 2,
  /** The start of the next packet is unknown. */
  Lost: 3,
  /** The rest of the stream is not MQTT. */
  Malformed: 4
})

/**
 * Parses the control packets of one direction. Accepts chunks of any size and reports each packet when its last byte
 * arrives. Never throws, whatever the bytes. `topic` and `payload` of a packet may be views of the pushed bytes: use or
 * copy them before these change.
 */
export class MqttWalker {
  readonly #options: MqttWalkerOptions
  /** Body of the packet in progress; null if none. */
  #body: MqttBody | null = null
  #stage: number = Stage.Header
  #offset = 0
  #header = 0
  #remainingLength = 0
  #size = 0
  #shift = 0
  /** End offset of the packet in progress. */
  #end = 0

  constructor(options: MqttWalkerOptions) {
    this.#options = options
  }

  /** Bytes of the stream read or skipped so far. */
  get offset(): number {
    return this.#offset
  }

  /** Whether the offset is a packet boundary. */
  get boundary(): boolean {
    return this.#stage === Stage.Header
  }

  /** Whether a remaining length had more than four bytes [MQTT-1.5.5-1]; nothing is read after it. */
  get malformed(): boolean {
    return this.#stage === Stage.Malformed
  }

  /** Whether a gap hid the start of the next packet; `resync` clears this. */
  get lost(): boolean {
    return this.#stage === Stage.Lost
  }

  /** Declared size of the packet in progress, including the fixed header; 0 until known. */
  get declared(): number {
    return this.#stage === Stage.Body ? this.#size + this.#remainingLength : 0
  }

  /** The received part of the packet in progress; null if none. */
  get inProgress(): PartialPacket | null {
    const body = this.#stage === Stage.Body ? this.#body : null
    return body === null
      ? null
      : { header: this.#header, topic: body.topic, payloadLength: body.payload === null ? null : body.payloadLength }
  }

  /** Declares that the next pushed byte starts a packet. */
  resync(): void {
    this.#stage = Stage.Header
  }

  /** Parses the next bytes of the stream. */
  push(bytes: Uint8Array, onPacket: (packet: MqttPacket) => void): void {
    const start = this.#offset
    const length = bytes.length
    let at = 0
    while (at < length && this.#stage < Stage.Lost) {
      if (this.#stage === Stage.Header) {
        this.#header = bytes[at++]
        this.#size = 1
        this.#remainingLength = 0
        this.#shift = 0
        this.#stage = Stage.RemainingLength
      } else if (this.#stage === Stage.RemainingLength) {
        this.#readRemainingLength(bytes[at++], start + at)
      } else {
        const stop = Math.min(length, this.#end - start)
        this.#body?.read(bytes, at, stop)
        at = stop
      }
      if (this.#stage === Stage.Body && start + at === this.#end) this.#finish(onPacket)
    }
    this.#offset = start + length
    if (this.#stage === Stage.Body) this.#body?.own()
  }

  /**
   * Skips `length` bytes that were not captured. A packet that ends within them is reported to `onPacket`. The walker
   * stays synchronised only if the start of the next packet is still known.
   */
  skip(length: number, onPacket?: (packet: MqttPacket) => void): void {
    const target = this.#offset + length
    if (length > 0 && this.#stage === Stage.Body) {
      this.#body?.skip(Math.min(length, this.#end - this.#offset))
      if (target >= this.#end) this.#finish(onPacket)
      if (target > this.#end) this.#stage = Stage.Lost
    } else if (length > 0 && this.#stage < Stage.Lost) {
      this.#stage = Stage.Lost
    }
    this.#offset = target
  }

  /** @param next offset after this byte */
  #readRemainingLength(byte: number, next: number): void {
    this.#size++
    this.#remainingLength += (byte & 0x7f) << this.#shift
    if ((byte & 0x80) === 0) {
      this.#end = next + this.#remainingLength
      this.#stage = Stage.Body
      this.#body ??= this.#options.spare?.pop() ?? new MqttBody(this.#options)
      this.#body.begin(this.#header, this.#remainingLength, this.#options.session)
    } else if (this.#shift === MAX_VARINT_SHIFT) {
      this.#stage = Stage.Malformed
    } else {
      this.#shift += 7
    }
  }

  #finish(onPacket?: (packet: MqttPacket) => void): void {
    const body = this.#body as MqttBody
    this.#stage = Stage.Header
    this.#offset = this.#end
    onPacket?.({
      header: this.#header,
      remainingLength: this.#remainingLength,
      size: this.#size + this.#remainingLength,
      end: this.#end,
      topicLength: body.topicLength,
      topic: body.topic,
      payload: body.payload,
      payloadLength: body.payloadLength,
      facts: body.facts,
      clientHash: body.clientHash,
      willHash: body.willHash
    })
    body.release()
    if (this.#options.spare === undefined) return
    this.#options.spare.push(body)
    this.#body = null
  }
}
