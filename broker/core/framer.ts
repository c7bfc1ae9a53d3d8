// Cuts the bytes of a connection into packets.

/** What is known of the next packet. */
export interface PacketStart {
  /** Its first byte. */
  header: number
  /** Bytes of all of it. */
  length: number
  /** Whether it is there to its end. */
  isWhole: boolean
}

/** A packet that is there to its end. */
export interface Packet {
  header: number
  bytes: Buffer
  /** Where it begins in `bytes`, where its body does, and where it ends. */
  start: number
  from: number
  to: number
}

const NO_BYTES = Buffer.alloc(0)
const MAX_LENGTH_BYTES = 4
/** Chunks of a packet that are kept as they come; each costs many times its size where it is a single byte. */
const MANY_CHUNKS = 16
/** Smaller ones after them are copied into pieces of this size, bytes. */
const PIECE_BYTES = 16_384
const SMALL_CHUNK = PIECE_BYTES / 4

/** Follows a stream over chunks of any size; a packet of many chunks is put together once. */
export class Framer {
  #bytes: Buffer = NO_BYTES
  #at = 0
  /** Chunks that came after `#bytes`, while a packet is longer than that. */
  #more: Buffer[] = []
  #moreBytes = 0
  /** The last of `#more`, where small chunks are copied into it. */
  #piece: Buffer = NO_BYTES
  #pieceUsed = 0
  #start: PacketStart = { header: 0, length: 0, isWhole: false }
  #bodyAt = 0

  push(chunk: Buffer): void {
    if (this.#at === this.#bytes.length && this.#more.length === 0) {
      this.#bytes = chunk
      this.#at = 0
      return
    }
    this.#moreBytes += chunk.length
    if (this.#more.length >= MANY_CHUNKS && chunk.length < SMALL_CHUNK) {
      this.#copy(chunk)
      return
    }
    this.#more.push(chunk)
    this.#piece = NO_BYTES
  }

  /** What comes next; undefined where not even its length is there. */
  next(): PacketStart | 'malformed' | undefined {
    if (this.#bytes.length - this.#at <= MAX_LENGTH_BYTES && this.#more.length > 0) this.#join()
    const bytes = this.#bytes
    let at = this.#at + 1
    if (at >= bytes.length) return undefined
    let length = 0
    for (let shift = 0; ; shift += 7) {
      if (at >= bytes.length) return undefined
      const byte = bytes[at++]
      length += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) break
      if (shift === 7 * (MAX_LENGTH_BYTES - 1)) return 'malformed'
    }
    const start = this.#start
    start.header = bytes[this.#at]
    start.length = at - this.#at + length
    start.isWhole = bytes.length - this.#at + this.#moreBytes >= start.length
    this.#bodyAt = at - this.#at
    return start
  }

  /** Takes the packet that `next` has found whole. */
  take(): Packet {
    const { header, length } = this.#start
    if (this.#bytes.length - this.#at < length) this.#join()
    const start = this.#at
    this.#at += length
    return { header, bytes: this.#bytes, start, from: start + this.#bodyAt, to: this.#at }
  }

  /** Gives back what has been pushed and not taken. */
  rest(): Buffer {
    this.#join()
    const rest = this.#bytes
    this.#bytes = NO_BYTES
    return rest
  }

  #copy(chunk: Buffer): void {
    if (this.#piece.length - this.#pieceUsed < chunk.length) {
      this.#piece = Buffer.allocUnsafeSlow(PIECE_BYTES)
      this.#pieceUsed = 0
      this.#more.push(NO_BYTES)
    }
    this.#pieceUsed += chunk.copy(this.#piece, this.#pieceUsed)
    this.#more[this.#more.length - 1] = this.#piece.subarray(0, this.#pieceUsed)
  }

  #join(): void {
    this.#bytes = Buffer.concat([this.#bytes.subarray(this.#at), ...this.#more])
    this.#at = 0
    this.#more = []
    this.#moreBytes = 0
    this.#piece = NO_BYTES
    this.#pieceUsed = 0
  }
}
