// Classic pcap files, micro- and nanosecond, as they arrive: bytes in, frames out.
import type { CapturedFrame } from '../types.js'
import { NANOSECONDS } from './frame-times.js'
import { MAX_CAPTURED_LENGTH, corruptCapture, cutShort, notACapture } from './capture-errors.js'
import { uint32 } from './network-order.js'
import { PendingBytes } from './pending-bytes.js'

const FILE_HEADER_LENGTH = 24
const RECORD_HEADER_LENGTH = 16
/** The link type shares its word with the length of a frame check sequence. */
const LINK_TYPE_MASK = 0x03ffffff

const MICRO_BIG = 0xa1b2c3d4
const MICRO_LITTLE = 0xd4c3b2a1
const NANO_BIG = 0xa1b23c4d
const NANO_LITTLE = 0x4d3cb2a1

/** Whether the first four bytes of a file, read as a big-endian number, open a classic pcap file. */
export function isPcapMagic(magic: number): boolean {
  return magic === MICRO_BIG || magic === MICRO_LITTLE || magic === NANO_BIG || magic === NANO_LITTLE
}

/**
 * Decodes a classic pcap file of either byte order and either resolution. `onFrame` is called from
 * within `push`; a frame's bytes are a view of the pushed ones. Throws an `OperatorError`
 * (`capture-not-recognised`, `capture-corrupt`; from `end` also `capture-cut-short`), after which
 * the decoder is not to be used again.
 */
export class PcapDecoder {
  readonly #onFrame: (frame: CapturedFrame) => void
  readonly #pending = new PendingBytes()
  /** Bytes needed before anything can be done. */
  #needed = FILE_HEADER_LENGTH
  #started = false
  #little = false
  #nanosecond = false
  #linkType = 0
  /** Bytes of the file before those that wait. */
  #consumed = 0
  #frames = 0

  constructor(onFrame: (frame: CapturedFrame) => void) {
    this.#onFrame = onFrame
  }

  /** Takes the next bytes of the file. */
  push(chunk: Buffer): void {
    const bytes = this.#pending.add(chunk, this.#needed)
    if (bytes === null) return
    const used = this.#walk(bytes)
    this.#consumed += used
    this.#pending.keep(bytes.subarray(used))
  }

  /** The file is over. */
  end(): void {
    if (this.#pending.length > 0) throw cutShort(this.#frames, this.#pending.length)
  }

  /** Reads whole records; gives how many bytes it used. */
  #walk(bytes: Buffer): number {
    let at = this.#started ? 0 : this.#readFileHeader(bytes)
    for (;;) {
      this.#needed = RECORD_HEADER_LENGTH
      if (bytes.length - at < RECORD_HEADER_LENGTH) return at
      const captured = this.#uint32(bytes, at + 8)
      if (captured > MAX_CAPTURED_LENGTH) {
        throw corruptCapture(
          `the record after frame ${this.#frames} says it holds ${captured} bytes, ` +
            `more than any frame can (${MAX_CAPTURED_LENGTH})`,
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
    if (!isPcapMagic(magic)) throw notACapture(`it opens with ${bytes.toString('hex', 0, 4)}`)
    this.#little = magic === MICRO_LITTLE || magic === NANO_LITTLE
    this.#nanosecond = magic === NANO_BIG || magic === NANO_LITTLE
    const major = this.#little ? bytes.readUInt16LE(4) : bytes.readUInt16BE(4)
    if (major !== 2) throw notACapture(`it says pcap version ${major}, and only version 2 is known`)
    this.#linkType = this.#uint32(bytes, 20) & LINK_TYPE_MASK
    this.#started = true
    return FILE_HEADER_LENGTH
  }

  #deliver(bytes: Buffer, at: number, captured: number): void {
    const seconds = this.#uint32(bytes, at)
    const wireLength = this.#uint32(bytes, at + 12)
    const fraction = this.#nanosecond ? this.#uint32(bytes, at + 4) : this.#uint32(bytes, at + 4) * 1000
    // A fraction of a second and more is nonsense, but a time all the same.
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
    return this.#little ? swapped(value) : value
  }
}

/** The four bytes the other way round. */
function swapped(value: number): number {
  return ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0
}
