// Who a CONNECT says it is from: client identifier and user name, never the password.

/** What a CONNECT names; empty where it names none. */
export interface ConnectIdentity {
  clientId: string
  username: string
}

const VERSION_5 = 5
const FLAG_WILL = 0x04
const FLAG_USERNAME = 0x80
/** Text kept of each, bytes: a client chooses both. */
const TEXT_CAP = 255

/**
 * Reads a whole CONNECT packet, its fixed header included; null where it is malformed or cut off before
 * the names are told [MQTT-3.1].
 */
export function connectIdentity(bytes: Uint8Array): ConnectIdentity | null {
  const reader = new Reader(bytes)
  reader.skip(1)
  reader.variable()
  reader.text()
  const version = reader.byte()
  const flags = reader.byte()
  reader.skip(2)
  if (version === VERSION_5) reader.skip(reader.variable())
  const clientId = reader.text()
  if ((flags & FLAG_WILL) !== 0) {
    if (version === VERSION_5) reader.skip(reader.variable())
    reader.skip(reader.short())
    reader.skip(reader.short())
  }
  const username = (flags & FLAG_USERNAME) === 0 ? '' : reader.text()
  return reader.beyond ? null : { clientId, username }
}

const decoder = new TextDecoder()

/** Reads on and on; beyond the end everything is 0 and empty. */
class Reader {
  #at = 0
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Whether anything was read that is not there. */
  get beyond(): boolean {
    return this.#at > this.#bytes.length
  }

  skip(length: number): void {
    this.#at += length
  }

  byte(): number {
    return this.#bytes[this.#at++] ?? 0
  }

  short(): number {
    return (this.byte() << 8) | this.byte()
  }

  /** A variable byte integer [MQTT-1.5.5]. */
  variable(): number {
    let value = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    return value
  }

  text(): string {
    const length = this.short()
    const start = this.#at
    this.#at += length
    return decoder.decode(this.#bytes.subarray(start, start + Math.min(length, TEXT_CAP)))
  }
}
