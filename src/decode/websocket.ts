// Finds the frames of one direction of a WebSocket connection (RFC 6455, section 5.2) and their application data.

const RESERVED_BITS = 0x70
const OPCODE = 0x0f
const LAST_DATA_OPCODE = 2
const MASKED = 0x80
const LENGTH = 0x7f
const LENGTH_16 = 126
const LENGTH_64 = 127
const MASK_BYTES = 4
const LONGEST_HEADER = 14

/** Called for each complete frame with its total length and its application data length (0 for control frames). */
export type OnWebSocketFrame = (frameLength: number, dataLength: number) => void

/** Parses frames from chunks of any size. Keeps no payload and never throws, whatever the bytes. */
export class WebSocketWalker {
  readonly #header = new Uint8Array(LONGEST_HEADER)
  #headerLength = 0
  /** Length of the header in progress. */
  #needed = 2
  /** Remaining payload bytes of the frame in progress. */
  #left = 0
  #frameLength = 0
  #dataLength = 0
  #failed = false

  /** Whether an unsupported frame was received: an extension such as permessage-deflate, or not WebSocket. */
  get malformed(): boolean {
    return this.#failed
  }

  push(bytes: Uint8Array, onFrame: OnWebSocketFrame): void {
    let at = 0
    while (at < bytes.length && !this.#failed) {
      if (this.#headerLength < this.#needed) {
        this.#header[this.#headerLength++] = bytes[at++]
        if (this.#headerLength === 2) this.#needed = headerLengthOf(this.#header)
        if (this.#headerLength < this.#needed) continue
        if (!this.#begin()) return
      } else {
        const taken = Math.min(this.#left, bytes.length - at)
        this.#left -= taken
        at += taken
      }
      if (this.#left > 0) continue
      this.#headerLength = 0
      this.#needed = 2
      onFrame(this.#frameLength, this.#dataLength)
    }
  }

  /** Starts a frame after its header is complete; false if the frame is not supported. */
  #begin(): boolean {
    const view = new DataView(this.#header.buffer)
    const short = this.#header[1] & LENGTH
    const length =
      short === LENGTH_64
        ? view.getUint32(2) * 2 ** 32 + view.getUint32(6)
        : short === LENGTH_16
          ? view.getUint16(2)
          : short
    this.#left = length
    this.#frameLength = this.#needed + length
    this.#dataLength = (this.#header[0] & OPCODE) <= LAST_DATA_OPCODE ? length : 0
    this.#failed = (this.#header[0] & RESERVED_BITS) !== 0 || !Number.isSafeInteger(this.#frameLength)
    return !this.#failed
  }
}

function headerLengthOf(header: Uint8Array): number {
  const length = header[1] & LENGTH
  const extended = length === LENGTH_64 ? 8 : length === LENGTH_16 ? 2 : 0
  return 2 + extended + ((header[1] & MASKED) === 0 ? 0 : MASK_BYTES)
}
