// Classic pcap files, micro- and nanosecond, as they arrive: bytes in, frames out.
import { EventEmitter } from 'node:events'
import { parse } from 'pcap-parser'
import type { GlobalHeader, PacketHeader } from 'pcap-parser'
import type { CapturedFrame } from '../types.js'
import { NANOSECONDS } from './frame-times.js'
import { MAX_CAPTURED_LENGTH, corruptCapture, cutShort, notACapture } from './capture-errors.js'

const FILE_HEADER_LENGTH = 24
const RECORD_HEADER_LENGTH = 16
/** The link type shares its word with the length of a frame check sequence. */
const LINK_TYPE_MASK = 0x03ffffff

const MICRO_BIG = 0xa1b2c3d4
const MICRO_LITTLE = 0xd4c3b2a1
const NANO_BIG = 0xa1b23c4d
const NANO_LITTLE = 0x4d3cb2a1

/** Whether the first four bytes of a file, read as a big-endian number, open a classic pcap file. */
export function isPcapMagic (magic: number): boolean {
  return magic === MICRO_BIG || magic === MICRO_LITTLE || magic === NANO_BIG || magic === NANO_LITTLE
}

/** The part of a readable stream that pcap-parser touches, fed synchronously. */
class Feed extends EventEmitter {
  pause (): void { /* nothing flows that could be paused */ }
  resume (): void { /* bytes come when they are pushed */ }
}

/**
 * Decodes a classic pcap file of either byte order and either resolution. `onFrame` is called from
 * within `push`; a frame's bytes are a view of the pushed ones. Throws an `OperatorError`
 * (`capture-not-recognised`, `capture-corrupt`; from `end` also `capture-cut-short`), after which
 * the decoder is not to be used again.
 */
export class PcapDecoder {
  readonly #feed = new Feed()
  readonly #onFrame: (frame: CapturedFrame) => void
  #head: Buffer | null = null
  #started = false
  #nanosecond = false
  #linkType = 0
  #record: PacketHeader | null = null
  #received = 0
  #consumed = 0
  #frames = 0

  constructor (onFrame: (frame: CapturedFrame) => void) {
    this.#onFrame = onFrame
    const parser = parse(this.#feed)
    parser.on('globalHeader', header => this.#onFileHeader(header))
    parser.on('packetHeader', header => this.#onRecordHeader(header))
    parser.on('packetData', data => this.#onRecordData(data))
    parser.on('error', error => { throw notACapture(error.message) })
  }

  /** Takes the next bytes of the file. */
  push (chunk: Buffer): void {
    this.#received += chunk.length
    if (this.#started) {
      this.#feed.emit('data', chunk)
      return
    }
    this.#head = this.#head === null ? chunk : Buffer.concat([this.#head, chunk])
    if (this.#head.length < FILE_HEADER_LENGTH) return
    const head = this.#head
    this.#head = null
    this.#started = true
    // pcap-parser knows microseconds only: the header is copied with the magic it understands.
    this.#feed.emit('data', this.#asMicrosecond(head))
    this.#feed.emit('data', head.subarray(FILE_HEADER_LENGTH))
  }

  /** The file is over. */
  end (): void {
    const left = this.#received - this.#consumed
    if (left > 0) throw cutShort(this.#frames, left)
  }

  #asMicrosecond (head: Buffer): Buffer {
    const magic = head.readUInt32BE(0)
    const little = magic === MICRO_LITTLE || magic === NANO_LITTLE
    const major = little ? head.readUInt16LE(4) : head.readUInt16BE(4)
    if (!isPcapMagic(magic)) throw notACapture(`it opens with ${head.toString('hex', 0, 4)}`)
    if (major !== 2) throw notACapture(`it says pcap version ${major}, and only version 2 is known`)
    this.#nanosecond = magic === NANO_BIG || magic === NANO_LITTLE
    const copy = Buffer.from(head.subarray(0, FILE_HEADER_LENGTH))
    copy.writeUInt32BE(little ? MICRO_LITTLE : MICRO_BIG, 0)
    return copy
  }

  #onFileHeader (header: GlobalHeader): void {
    this.#linkType = header.linkLayerType & LINK_TYPE_MASK
    this.#consumed += FILE_HEADER_LENGTH
  }

  #onRecordHeader (header: PacketHeader): void {
    if (header.capturedLength > MAX_CAPTURED_LENGTH) {
      throw corruptCapture(`the record after frame ${this.#frames} says it holds ${header.capturedLength} bytes, ` +
        `more than any frame can (${MAX_CAPTURED_LENGTH})`, this.#consumed)
    }
    this.#record = header
  }

  #onRecordData (data: Buffer): void {
    const record = this.#record
    if (record === null) return
    this.#consumed += RECORD_HEADER_LENGTH + data.length
    this.#frames++
    const fraction = this.#nanosecond ? record.timestampMicroseconds : record.timestampMicroseconds * 1000
    // A fraction of a second and more is nonsense, but a time all the same.
    const carry = fraction < NANOSECONDS ? 0 : Math.floor(fraction / NANOSECONDS)
    this.#onFrame({
      seconds: record.timestampSeconds + carry,
      nanoseconds: fraction - carry * NANOSECONDS,
      linkType: this.#linkType,
      wireLength: record.originalLength,
      bytes: data.length > record.originalLength ? data.subarray(0, record.originalLength) : data
    })
  }
}
