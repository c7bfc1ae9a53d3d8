// Reads the fields of a packet's body, one after the other, and notes the first that is not what it must be.

import { isUtf8 } from 'node:buffer'
import { PROTOCOL_ERROR, ProtocolFault } from './fault.js'

/** A variable byte integer has at most 4 bytes [MQTT-1.5.5-1]. */
const VARINT_BYTES = 4
const FIRST_PRINTABLE = 0x20
const LAST_PRINTABLE = 0x7e
const PLUS = 0x2b
const HASH = 0x23
/**
 * What a text should not hold, and mosquitto refuses as well; U+0000 is among it, which it must not hold
 * [MQTT-1.5.4-2].
 */
const UNWANTED = /[\p{Cc}\p{Noncharacter_Code_Point}]/u

/**
 * The fields of a body, or of a part of it. After a fault all fields are empty and nothing is left, so that whoever
 * reads on comes to an end.
 */
export class FieldReader {
  fault: ProtocolFault | undefined
  #at: number
  #end: number
  readonly #body: Buffer

  constructor(body: Buffer, from = 0, to = body.length) {
    this.#body = body
    this.#at = from
    this.#end = to
  }

  /** Where in the buffer the next field begins. */
  get position(): number {
    return this.#at
  }

  /** Bytes that are to come. */
  get left(): number {
    return this.#end - this.#at
  }

  /** Notes a fault, where there was none before. */
  refuse(message: string, reasonCode?: number): void {
    this.fault ??= new ProtocolFault(message, reasonCode)
    this.#end = this.#at
  }

  byte(): number {
    return this.#has(1) ? this.#body[this.#at++] : 0
  }

  twoBytes(): number {
    return this.#has(2) ? this.#body.readUInt16BE((this.#at += 2) - 2) : 0
  }

  fourBytes(): number {
    return this.#has(4) ? this.#body.readUInt32BE((this.#at += 4) - 4) : 0
  }

  /** A variable byte integer, in as few bytes as it needs [MQTT-1.5.5-1]. */
  varint(): number {
    let value = 0
    for (let count = 0; count < VARINT_BYTES; count++) {
      const byte = this.byte()
      value += (byte & 0x7f) * 2 ** (7 * count)
      if (byte >= 0x80) continue
      if (byte === 0 && count > 0) break
      return value
    }
    this.refuse('a variable byte integer is not one [MQTT-1.5.5-1]')
    return 0
  }

  /** Bytes with their length before them. */
  binary(): Buffer {
    return this.skip(this.twoBytes())
  }

  /** A text of UTF-8 [MQTT-1.5.4-1]. */
  text(): Buffer {
    const bytes = this.binary()
    if (!isText(bytes)) this.refuse('a text is not one of UTF-8, or holds control characters [MQTT-1.5.4-1]')
    return bytes
  }

  /** A topic to publish to: without wildcards [MQTT-3.3.2-2], and empty only where an alias stands for it. */
  topicName(): string {
    const length = this.twoBytes()
    if (!this.#has(length)) return ''
    const body = this.#body
    const at = this.#at
    const end = at + length
    for (let i = at; i < end; i++) {
      const byte = body[i]
      if (byte < FIRST_PRINTABLE || byte > LAST_PRINTABLE) return this.#longTopicName(end)
      if (byte === PLUS || byte === HASH) this.refuse('a topic has wildcards [MQTT-3.3.2-2]')
    }
    this.#at = end
    return body.toString('latin1', at, end)
  }

  /** A packet identifier, which is not 0 [MQTT-2.2.1-3]. */
  packetId(): number {
    const id = this.twoBytes()
    if (id === 0) this.refuse('a packet identifier is 0 [MQTT-2.2.1-3]', PROTOCOL_ERROR)
    return id
  }

  /** The next bytes, whatever they are. */
  skip(length: number): Buffer {
    return this.#has(length) ? this.#body.subarray(this.#at, (this.#at += length)) : Buffer.alloc(0)
  }

  /** One with characters beyond ASCII. */
  #longTopicName(end: number): string {
    const bytes = this.#body.subarray(this.#at, end)
    this.#at = end
    if (!isText(bytes)) this.refuse('a topic is not valid UTF-8, or holds control characters [MQTT-1.5.4-1]')
    if (bytes.includes(PLUS) || bytes.includes(HASH)) this.refuse('a topic has wildcards [MQTT-3.3.2-2]')
    return bytes.toString()
  }

  #has(count: number): boolean {
    if (this.left >= count) return true
    this.refuse('a field goes beyond the end of what it is part of')
    return false
  }
}

function isText(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] < FIRST_PRINTABLE || bytes[i] > LAST_PRINTABLE)
      return isUtf8(bytes) && !UNWANTED.test(bytes.toString())
  }
  return true
}
