// Extracts the application data of one direction of a WebSocket connection (RFC 6455, section 5.2), unmasked, including
// the HTTP handshake.

/** Called with data and the offset of its first byte in the pushed bytes. */
export type OnData = (data: Uint8Array, at: number) => void

const LAST_DATA_OPCODE = 2
const LENGTH_16 = 126
const LENGTH_64 = 127
const MASK_BYTES = 4
/** Empty line at the end of the HTTP head. */
const HEAD_END = [13, 10, 13, 10]

/** Parser of one direction; accepts any chunks. */
export class WebSocketData {
  /** Bytes of the empty line received so far; all of them: the head is complete. */
  #headEnd = 0
  #header: number[] = []
  #left = 0
  #isData = false
  #mask: readonly number[] = []
  #done = 0

  push(bytes: Uint8Array, onData: OnData): void {
    let at = 0
    for (; at < bytes.length && this.#headEnd < HEAD_END.length; at++) {
      this.#headEnd = bytes[at] === HEAD_END[this.#headEnd] ? this.#headEnd + 1 : bytes[at] === HEAD_END[0] ? 1 : 0
    }
    while (at < bytes.length) {
      if (this.#left === 0) {
        this.#header.push(bytes[at++])
        this.#begin()
        continue
      }
      const taken = Math.min(this.#left, bytes.length - at)
      if (this.#isData) onData(this.#unmasked(bytes.subarray(at, at + taken)), at)
      this.#left -= taken
      this.#done += taken
      at += taken
    }
  }

  /** Starts the payload if the header is complete. */
  #begin(): void {
    const header = this.#header
    if (header.length < 2) return
    const short = header[1] & 0x7f
    const extended = short === LENGTH_16 ? 2 : short === LENGTH_64 ? 8 : 0
    const masked = (header[1] & 0x80) !== 0
    if (header.length < 2 + extended + (masked ? MASK_BYTES : 0)) return
    this.#left = extended === 0 ? short : header.slice(2, 2 + extended).reduce((length, byte) => length * 256 + byte, 0)
    this.#isData = (header[0] & 0x0f) <= LAST_DATA_OPCODE
    this.#mask = masked ? header.slice(-MASK_BYTES) : []
    this.#done = 0
    this.#header = []
  }

  #unmasked(bytes: Uint8Array): Uint8Array {
    return this.#mask.length === 0 ? bytes : bytes.map((byte, i) => byte ^ this.#mask[(this.#done + i) % MASK_BYTES])
  }
}
