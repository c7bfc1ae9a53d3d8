// MQTT control packets out of one direction of a stream: incremental, total, one pass, nothing copied that is not kept.
import type { MqttPacket, PacketBegun } from '../types.js'
import { MqttBody } from './mqtt-body.js'
import type { MqttBodyOptions, MqttSession } from './mqtt-body.js'

export type { MqttBody, MqttSession } from './mqtt-body.js'

/** What a walker keeps of packets. */
export interface MqttWalkerOptions extends MqttBodyOptions {
  /** Shared by the two walkers of a connection. */
  session: MqttSession
  /** Bodies that no walker is using now, for all that share this list and the caps: few have a packet in progress. */
  spare?: MqttBody[]
}

/** A remaining length has at most 4 bytes [MQTT-1.5.5-1]. */
const MAX_LENGTH_SHIFT = 21

/** Where the walker stands; comparisons rely on the order. */
const Stage = Object.freeze({
  Header: 0,
  RemainingLength: 1,
  Body: 2,
  /** Where the next packet begins is not known. */
  Lost: 3,
  /** The stream is not MQTT from here on. */
  Malformed: 4
})

/**
 * Walks over the control packets of one direction. Bytes come in any portions; every packet is
 * reported when its last byte is there. Never throws on bytes. `topic` and `payload` of a packet
 * may be views of the pushed bytes: use or copy them before these change.
 */
export class MqttWalker {
  readonly #options: MqttWalkerOptions
  /** That of the packet in progress; null where there is none, or was none yet. */
  #body: MqttBody | null = null
  #stage: number = Stage.Header
  #offset = 0
  #header = 0
  #remainingLength = 0
  #size = 0
  #shift = 0
  /** Offset at which the packet in progress ends. */
  #end = 0

  constructor(options: MqttWalkerOptions) {
    this.#options = options
  }

  /** Bytes of the stream seen or skipped so far. */
  get offset(): number {
    return this.#offset
  }

  /** Whether the stream stands at the boundary between two packets. */
  get boundary(): boolean {
    return this.#stage === Stage.Header
  }

  /** Whether a remaining length of more than four bytes came [MQTT-1.5.5-1]; nothing is read after it. */
  get malformed(): boolean {
    return this.#stage === Stage.Malformed
  }

  /** Whether a gap hid where the next packet begins; `resync` ends that. */
  get lost(): boolean {
    return this.#stage === Stage.Lost
  }

  /** Size of the packet in progress, fixed header included, as soon as it is declared; else 0. */
  get declared(): number {
    return this.#stage === Stage.Body ? this.#size + this.#remainingLength : 0
  }

  /** The packet in progress, as far as it has come; null where none is. */
  get inProgress(): PacketBegun | null {
    const body = this.#stage === Stage.Body ? this.#body : null
    return body === null
      ? null
      : { header: this.#header, topic: body.topic, payloadLength: body.payload === null ? null : body.payloadLength }
  }

  /** Declares that the next byte pushed begins a packet. */
  resync(): void {
    this.#stage = Stage.Header
  }

  /** Takes the next bytes of the stream. */
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
   * Steps over `length` bytes that nobody saw. A packet known to end among them is reported to
   * `onPacket`; the walker stays in step only where the next packet's beginning is still known.
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

  /** `next` is the offset of the byte after this one. */
  #readRemainingLength(byte: number, next: number): void {
    this.#size++
    this.#remainingLength += (byte & 0x7f) << this.#shift
    if ((byte & 0x80) === 0) {
      this.#end = next + this.#remainingLength
      this.#stage = Stage.Body
      this.#body ??= this.#options.spare?.pop() ?? new MqttBody(this.#options)
      this.#body.begin(this.#header, this.#remainingLength, this.#options.session)
    } else if (this.#shift === MAX_LENGTH_SHIFT) {
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
