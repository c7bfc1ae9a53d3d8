// Incremental decoder for classic pcap files with microsecond or nanosecond timestamps.
import type { CapturedFrame } from '../types.js'
import { NANOSECONDS } from './frame-times.js'
import { MAX_CAPTURED_LENGTH, corruptCapture, cutShort, notACapture } from './capture-errors.js'
import { uint32 } from './network-order.js'
import { PendingBytes } from './pending-bytes.js'

const FILE_HEADER_LENGTH = 24
const RECORD_HEADER_LENGTH = 16
/** The upper bits of the word are the length of the frame check sequence. */
const LINK_TYPE_MASK = 0x03ffffff

const MICRO_BIG = 0xa1b2c3d4
const MICRO_LITTLE = 0xd4c3b2a1
const NANO_BIG = 0xa1b23c4d
const NANO_LITTLE = 0x4d3cb2a1

/** Whether `magic`, the first four bytes of a file as a big-endian number, is that of classic pcap. */
export function isPcapMagic(magic: number): boolean {
  return magic === MICRO_BIG || magic === MICRO_LITTLE || magic === NANO_BIG || magic === NANO_LITTLE
}

/**
 * Decodes a classic pcap file of either byte order and resolution. `push` calls `onFrame` synchronously; a frame's
 * bytes are a view of the pushed bytes. Throws an `OperatorError` (`capture-not-recognised`, `capture-corrupt`; from
 * `end` also `capture-cut-short`). Do not use the decoder after an error.
 */
export class PcapDecoder {
  readonly #onFrame: (frame: CapturedFrame) => void
  readonly #pending = new PendingBytes()
  /** Bytes needed to continue. */
  #needed = FILE_HEADER_LENGTH
  #started = false
  #little = false
  #nanosecond = false
  #linkType = 0
  /** Bytes of the file before the pending ones. */
  #consumed = 0
  #frames = 0

  constructor(onFrame: (frame: CapturedFrame) => void) {
    this.#onFrame = onFrame
  }

  /** Decodes the next bytes of the file. */
  push(chunk: Buffer): void {
    const bytes = this.#pending.add(chunk, this.#needed)
    if (bytes === null) return
    const used = this.#readRecords(bytes)
    this.#consumed += used
    this.#pending.keep(bytes.subarray(used))
  }

  /** Ends the file. */
  end(): void {
    if (this.#pending.length > 0) throw cutShort(this.#frames, this.#pending.length)
  }

  /** Reads complete records. Returns the number of bytes used. */
  #readRecords(bytes: Buffer): number {
    let at = this.#started ? 0 : this.#readFileHeader(bytes)
    for (;;) {
      this.#needed = RECORD_HEADER_LENGTH
      if (bytes.length - at < RECORD_HEADER_LENGTH) return at
      const captured = this.#uint32(bytes, at + 8)
      if (captured > MAX_CAPTURED_LENGTH) {
        throw corruptCapture(
          `the record after frame ${this.#frames} declares ${captured} captured bytes ` +
            `(maximum ${MAX_CAPTURED_LENGTH})`,
          this.#consumed + at
        )
      }
      this.#needed = RECORD_HEADER_LENGTH + captured
      if (bytes.length - at < this.#needed) return at
      this.#deliver(bytes, at, captured)
      at += this.#needed
    }
  }

  #readFileHeader(bytes: Buffer): number {
    const magic = bytes.readUInt32BE(0)
    if (!isPcapMagic(magic)) throw notACapture(`it starts with ${bytes.toString('hex', 0, 4)}`)
    this.#little = magic === MICRO_LITTLE || magic === NANO_LITTLE
    this.#nanosecond = magic === NANO_BIG || magic === NANO_LITTLE
    const major = this.#little ? bytes.readUInt16LE(4) : bytes.readUInt16BE(4)
    if (major !== 2) throw notACapture(`pcap version ${major} is not supported (only version 2)`)
    this.#linkType = this.#uint32(bytes, 20) & LINK_TYPE_MASK
    this.#started = true
    return FILE_HEADER_LENGTH
  }

  #deliver(bytes: Buffer, at: number, captured: number): void {
    const seconds = this.#uint32(bytes, at)
    const wireLength = this.#uint32(bytes, at + 12)
    const fraction = this.#nanosecond ? this.#uint32(bytes, at + 4) : this.#uint32(bytes, at + 4) * 1000
    // A fraction of one second or more is invalid: carry it over.
    const carry = fraction < NANOSECONDS ? 0 : Math.floor(fraction / NANOSECONDS)
    const start = at + RECORD_HEADER_LENGTH
    this.#frames++
    this.#onFrame({
      seconds: seconds + carry,
      nanoseconds: fraction - carry * NANOSECONDS,
      linkType: this.#linkType,
      wireLength,
      bytes: bytes.subarray(start, start + Math.min(captured, wireLength))
    })
  }

  #uint32(bytes: Buffer, at: number): number {
    const value = uint32(bytes, at)
    return this.#little ? swapBytes(value) : value
  }
}

/** Reverses the byte order. */
function swapBytes(value: number): number {
  return ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0
}
