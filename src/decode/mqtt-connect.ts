// Reads client identifier and user name from a CONNECT, never the password.

import { MAX_VARINT_BYTES, varintEnd, varintValue } from './varint.js'

/** Identity in a CONNECT; missing fields are empty. */
export interface ConnectIdentity {
  clientId: string
  username: string
}

const VERSION_5 = 5
const FLAG_WILL = 0x04
const FLAG_USERNAME = 0x80
/** Bytes kept of each text: the client chooses both. */
const TEXT_CAP = 255

/**
 * Reads a CONNECT packet, including its fixed header; null if it is malformed or truncated before the user name
 * [MQTT-3.1].
 */
export function connectIdentity(bytes: Uint8Array): ConnectIdentity | null {
  const reader = new Reader(bytes)
  reader.skip(1)
  reader.varint()
  reader.text()
  const version = reader.byte()
  const flags = reader.byte()
  reader.skip(2)
  if (version === VERSION_5) reader.skip(reader.varint())
  const clientId = reader.text()
  if ((flags & FLAG_WILL) !== 0) {
    if (version === VERSION_5) reader.skip(reader.varint())
    reader.skip(reader.uint16())
    reader.skip(reader.uint16())
  }
  const username = (flags & FLAG_USERNAME) === 0 ? '' : reader.text()
  return reader.overrun ? null : { clientId, username }
}

const decoder = new TextDecoder()

/** Sequential reader; overrun the end it returns 0 and empty text. */
class Reader {
  #at = 0
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Whether a read went overrun the end. */
  get overrun(): boolean {
    return this.#at > this.#bytes.length
  }

  skip(length: number): void {
    this.#at += length
  }

  byte(): number {
    return this.#bytes[this.#at++] ?? 0
  }

  uint16(): number {
    return (this.byte() << 8) | this.byte()
  }

  /** Reads a Variable Byte Integer [MQTT-1.5.5]. */
  varint(): number {
    const start = this.#at
    const end = varintEnd(this.#bytes, start)
    // A malformed or truncated integer counts as four bytes.
    this.#at = end < 0 ? start + MAX_VARINT_BYTES : end
    return varintValue(this.#bytes, start, this.#at)
  }

  text(): string {
    const length = this.uint16()
    const start = this.#at
    this.#at += length
    return decoder.decode(this.#bytes.subarray(start, start + Math.min(length, TEXT_CAP)))
  }
}
