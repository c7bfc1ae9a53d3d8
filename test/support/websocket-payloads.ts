// A reference parser for one direction of a WebSocket connection, without caps.

/** Extracts the payloads: skips HTTP up to the empty line, then parses frames of RFC 6455, section 5.2. */
export class WebSocketPayloads {
  #rest = Buffer.alloc(0)
  #isUpgraded = false

  /** Returns the payloads that these bytes complete, unmasked; empty for control frames. */
  push(bytes: Uint8Array): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, bytes])
    if (!this.#isUpgraded) {
      const end = this.#rest.indexOf('\r\n\r\n')
      if (end < 0) return []
      this.#isUpgraded = true
      this.#rest = this.#rest.subarray(end + 4)
    }
    const payloads: Buffer[] = []
    for (let payload = this.#frame(); payload !== null; payload = this.#frame()) payloads.push(payload)
    return payloads
  }

  #frame(): Buffer | null {
    const rest = this.#rest
    if (rest.length < 2) return null
    const short = rest[1] & 0x7f
    const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0
    const maskBytes = rest[1] > 127 ? 4 : 0
    const start = 2 + lengthBytes + maskBytes
    if (rest.length < start) return null
    const length = lengthBytes === 0 ? short : rest.readUIntBE(lengthBytes === 8 ? 4 : 2, lengthBytes === 8 ? 6 : 2)
    if (rest.length < start + length) return null
    const payload = Buffer.from(rest.subarray(start, start + length))
    const mask = rest.subarray(start - maskBytes, start)
    if (maskBytes > 0) for (let i = 0; i < length; i++) payload[i] ^= mask[i % 4]
    this.#rest = rest.subarray(start + length)
    return (rest[0] & 0x0f) > 2 ? Buffer.alloc(0) : payload
  }
}
