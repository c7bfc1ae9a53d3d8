// Reads the fields of a packet body in order and records the first invalid one.

import { isUtf8 } from 'node:buffer'
import { VARINT_INCOMPLETE, VARINT_MALFORMED, varintEnd, varintValue } from '../../src/decode/varint.js'
import { PROTOCOL_ERROR, ProtocolFault } from './fault.js'

const TOO_LONG = 'a field exceeds the packet or the properties'
const FIRST_PRINTABLE = 0x20
const LAST_PRINTABLE = 0x7e
const PLUS = 0x2b
const HASH = 0x23
/**
 * Characters that strings should not contain and mosquitto refuses, including U+0000, which they must not contain
 * [MQTT-1.5.4-2].
 */
const UNWANTED = /[\p{Cc}\p{Noncharacter_Code_Point}]/u

/**
 * The fields of a packet body or of a part of it. After a fault all fields are empty and no bytes are left, so that
 * reading loops end.
 */
export class FieldReader {
  fault: ProtocolFault | undefined
  #position: number
  #end: number
  readonly #body: Buffer

  constructor(body: Buffer, from = 0, to = body.length) {
    this.#body = body
    this.#position = from
    this.#end = to
  }

  /** Offset of the next field in the buffer. */
  get position(): number {
    return this.#position
  }

  /** Number of unread bytes. */
  get left(): number {
    return this.#end - this.#position
  }

  /** Records a fault, unless one is already recorded. */
  refuse(message: string, reasonCode?: number): void {
    this.fault ??= new ProtocolFault(message, reasonCode)
    this.#end = this.#position
  }

  byte(): number {
    return this.#has(1) ? this.#body[this.#position++] : 0
  }

  twoBytes(): number {
    return this.#has(2) ? this.#body.readUInt16BE((this.#position += 2) - 2) : 0
  }

  fourBytes(): number {
    return this.#has(4) ? this.#body.readUInt32BE((this.#position += 4) - 4) : 0
  }

  /** A variable byte integer, in as few bytes as it needs [MQTT-1.5.5-1]. */
  varint(): number {
    const body = this.#body
    const start = this.#position
    const end = varintEnd(body, start, this.#end)
    if (end === VARINT_INCOMPLETE) this.refuse(TOO_LONG)
    else if (end === VARINT_MALFORMED || (end > start + 1 && body[end - 1] === 0))
      this.refuse('invalid variable byte integer [MQTT-1.5.5-1]')
    else {
      this.#position = end
      return varintValue(body, start, end)
    }
    return 0
  }

  /** Length-prefixed binary data. */
  binary(): Buffer {
    return this.skip(this.twoBytes())
  }

  /** A UTF-8 string [MQTT-1.5.4-1]. */
  text(): Buffer {
    const bytes = this.binary()
    if (!isText(bytes)) this.refuse('a string is not valid UTF-8, or contains control characters [MQTT-1.5.4-1]')
    return bytes
  }

  /** A topic name: without wildcards [MQTT-3.3.2-2], and empty only if a topic alias replaces it. */
  topicName(): string {
    const length = this.twoBytes()
    if (!this.#has(length)) return ''
    const body = this.#body
    const at = this.#position
    const end = at + length
    for (let i = at; i < end; i++) {
      const byte = body[i]
      if (byte < FIRST_PRINTABLE || byte > LAST_PRINTABLE) return this.#unicodeTopicName(end)
      if (byte === PLUS || byte === HASH) this.refuse('a topic name contains wildcards [MQTT-3.3.2-2]')
    }
    this.#position = end
    return body.toString('latin1', at, end)
  }

  /** A packet identifier, which must not be 0 [MQTT-2.2.1-3]. */
  packetId(): number {
    const id = this.twoBytes()
    if (id === 0) this.refuse('a packet identifier is 0 [MQTT-2.2.1-3]', PROTOCOL_ERROR)
    return id
  }

  /** The next bytes, unchecked. */
  skip(length: number): Buffer {
    return this.#has(length) ? this.#body.subarray(this.#position, (this.#position += length)) : Buffer.alloc(0)
  }

  /** A topic name with characters beyond printable ASCII. */
  #unicodeTopicName(end: number): string {
    const bytes = this.#body.subarray(this.#position, end)
    this.#position = end
    if (!isText(bytes)) this.refuse('a topic name is not valid UTF-8, or contains control characters [MQTT-1.5.4-1]')
    if (bytes.includes(PLUS) || bytes.includes(HASH)) this.refuse('a topic name contains wildcards [MQTT-3.3.2-2]')
    return bytes.toString()
  }

  #has(count: number): boolean {
    if (this.left >= count) return true
    this.refuse(TOO_LONG)
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
