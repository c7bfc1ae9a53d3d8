// Splits the byte stream of a connection into packets.

import {
  MAX_VARINT_BYTES,
  VARINT_INCOMPLETE,
  VARINT_MALFORMED,
  varintEnd,
  varintValue
} from '../../src/decode/varint.js'

/** Fixed header of the next packet. */
export interface PacketStart {
  /** Its first byte. */
  header: number
  /** Length of the whole packet, bytes. */
  length: number
  /** Whether all its bytes have arrived. */
  isWhole: boolean
}

/** A complete packet. */
export interface Packet {
  header: number
  bytes: Buffer
  /** Offsets in `bytes`: start of the packet, start of its body, end of the packet. */
  start: number
  from: number
  to: number
}

const NO_BYTES = Buffer.alloc(0)
/** Chunks of a packet that are kept as received. A one-byte chunk takes many times its size in memory. */
const MAX_CHUNKS = 16
/** Size of the buffers into which further small chunks are copied, bytes. */
const PIECE_BYTES = 16_384
const SMALL_CHUNK = PIECE_BYTES / 4

/** Finds packets in chunks of any size; concatenates the chunks of a packet only once. */
export class Framer {
  #bytes: Buffer = NO_BYTES
  #at = 0
  /** Chunks after `#bytes`, while the packet is incomplete. */
  #chunks: Buffer[] = []
  #chunkBytes = 0
  /** The last of `#chunks`, if small chunks are copied into it. */
  #piece: Buffer = NO_BYTES
  #pieceUsed = 0
  #start: PacketStart = { header: 0, length: 0, isWhole: false }
  #bodyAt = 0

  push(chunk: Buffer): void {
    if (this.#at === this.#bytes.length && this.#chunks.length === 0) {
      this.#bytes = chunk
      this.#at = 0
      return
    }
    this.#chunkBytes += chunk.length
    if (this.#chunks.length >= MAX_CHUNKS && chunk.length < SMALL_CHUNK) {
      this.#copy(chunk)
      return
    }
    this.#chunks.push(chunk)
    this.#piece = NO_BYTES
  }

  /** Returns the next packet's header; undefined until its length is known. */
  next(): PacketStart | 'malformed' | undefined {
    if (this.#bytes.length - this.#at <= MAX_VARINT_BYTES && this.#chunks.length > 0) this.#join()
    const bytes = this.#bytes
    const lengthAt = this.#at + 1
    const at = varintEnd(bytes, lengthAt)
    if (at === VARINT_INCOMPLETE) return undefined
    if (at === VARINT_MALFORMED) return 'malformed'
    const length = varintValue(bytes, lengthAt, at)
    const start = this.#start
    start.header = bytes[this.#at]
    start.length = at - this.#at + length
    start.isWhole = bytes.length - this.#at + this.#chunkBytes >= start.length
    this.#bodyAt = at - this.#at
    return start
  }

  /** Removes and returns the packet that `next` reported as whole. */
  take(): Packet {
    const { header, length } = this.#start
    if (this.#bytes.length - this.#at < length) this.#join()
    const start = this.#at
    this.#at += length
    return { header, bytes: this.#bytes, start, from: start + this.#bodyAt, to: this.#at }
  }

  /** Removes and returns all remaining bytes. */
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
      this.#chunks.push(NO_BYTES)
    }
    this.#pieceUsed += chunk.copy(this.#piece, this.#pieceUsed)
    this.#chunks[this.#chunks.length - 1] = this.#piece.subarray(0, this.#pieceUsed)
  }

  #join(): void {
    this.#bytes = Buffer.concat([this.#bytes.subarray(this.#at), ...this.#chunks])
    this.#at = 0
    this.#chunks = []
    this.#chunkBytes = 0
    this.#piece = NO_BYTES
    this.#pieceUsed = 0
  }
}
