// Incremental decoder for pcapng files: several sections and interfaces, any resolution, either byte order.
import type { CapturedFrame } from '../types.js'
import { MAX_CAPTURED_LENGTH, corruptCapture, cutShort, notACapture } from './capture-errors.js'
import type { FrameClock } from './pcapng-clock.js'
import { PendingBytes } from './pending-bytes.js'
import { PcapngReader } from './pcapng-reader.js'

const SECTION_HEADER = 0x0a0d0d0a
const INTERFACE_DESCRIPTION = 1
/** Obsolete packet block, found in old captures. */
const PACKET = 2
const SIMPLE_PACKET = 3
const ENHANCED_PACKET = 6

/**
 * Blocks that Wireshark numbers as frames although they contain no packet: systemd journal, Sysdig events, custom
 * blocks. They are numbered here too, as frames without a link type.
 */
const NUMBERED: ReadonlySet<number> = new Set([9, 0x204, 0xbad, 0x4000_0bad])
const NO_LINK_TYPE = -1
const NO_BYTES = Buffer.alloc(0)

const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const BYTE_ORDER_MAGIC_SWAPPED = 0x4d3c2b1a
/** Type, length and byte-order magic: needed to read the length of a section header. */
const PREFIX_LENGTH = 12
const SMALLEST_BLOCK = 12
/** Twice the largest frame, to allow for options. */
const LARGEST_BLOCK = 2 * MAX_CAPTURED_LENGTH
/** Limits memory: no machine has more interfaces. */
const MAX_INTERFACES = 65_536

interface Interface {
  linkType: number
  /** Bytes kept of each frame; 0 for all. */
  snapLength: number
  clock: FrameClock
}

/** Whether `magic`, the first four bytes of a file as a big-endian number, is that of pcapng. */
export function isPcapngMagic(magic: number): boolean {
  return magic === SECTION_HEADER
}

/**
 * Decodes a pcapng file. `push` calls `onFrame` synchronously; a frame's bytes are a view of the pushed bytes. Unknown
 * blocks of any length are skipped. A simple packet block has no time: its frame gets time 0. Throws an `OperatorError`
 * (`capture-corrupt`; from `end` also `capture-cut-short`). Do not use the decoder after an error.
 */
export class PcapngDecoder {
  readonly #onFrame: (frame: CapturedFrame) => void
  #reader = new PcapngReader(true)
  #interfaces: Interface[] = []
  readonly #pending = new PendingBytes()
  /** Bytes needed to continue. */
  #needed = PREFIX_LENGTH
  /** Bytes of an unknown block still to skip. */
  #skipping = 0
  /** File offset of the current block. */
  #block = 0
  #received = 0
  #frames = 0

  constructor(onFrame: (frame: CapturedFrame) => void) {
    this.#onFrame = onFrame
  }

  /** Decodes the next bytes of the file. */
  push(chunk: Buffer): void {
    this.#received += chunk.length
    const skipped = Math.min(this.#skipping, chunk.length)
    this.#skipping -= skipped
    if (skipped === chunk.length) return
    const bytes = this.#pending.add(skipped === 0 ? chunk : chunk.subarray(skipped), this.#needed)
    if (bytes === null) return
    const used = this.#readBlocks(bytes)
    this.#pending.keep(bytes.subarray(used))
  }

  /** Ends the file. */
  end(): void {
    if (this.#pending.length > 0 || this.#skipping > 0) throw cutShort(this.#frames, this.#received - this.#block)
  }

  /** Reads complete blocks. Returns the number of bytes used. */
  #readBlocks(bytes: Buffer): number {
    let at = 0
    for (;;) {
      this.#needed = PREFIX_LENGTH
      if (bytes.length - at < PREFIX_LENGTH) return at
      this.#block = this.#received - (bytes.length - at)
      const type = this.#typeOf(bytes, at)
      const length = this.#lengthOf(bytes, at)
      if (!isSupported(type)) {
        if (NUMBERED.has(type)) this.#deliver(NO_LINK_TYPE, 0, 0, 0, NO_BYTES)
        const present = Math.min(length, bytes.length - at)
        this.#skipping = length - present
        at += present
      } else {
        if (length > LARGEST_BLOCK) throw this.#corrupt(`a block of type ${type} declares ${length} bytes`)
        this.#needed = length
        if (bytes.length - at < length) return at
        if (this.#reader.uint32(bytes, at + length - 4) !== length)
          throw this.#corrupt('the two length fields of a block differ')
        this.#readBlock(type, bytes.subarray(at + 8, at + length - 4))
        at += length
      }
    }
  }

  /** Returns the type of the block at `at`; a section header also sets the byte order. */
  #typeOf(bytes: Buffer, at: number): number {
    if (bytes.readUInt32BE(at) !== SECTION_HEADER) return this.#reader.uint32(bytes, at)
    const magic = bytes.readUInt32LE(at + 8)
    if (magic !== BYTE_ORDER_MAGIC && magic !== BYTE_ORDER_MAGIC_SWAPPED) {
      throw this.#block === 0
        ? notACapture('pcapng section header without a byte-order magic')
        : this.#corrupt('a section header has no byte-order magic')
    }
    this.#reader = new PcapngReader(magic === BYTE_ORDER_MAGIC)
    return SECTION_HEADER
  }

  #lengthOf(bytes: Buffer, at: number): number {
    const length = this.#reader.uint32(bytes, at + 4)
    if (length < SMALLEST_BLOCK || length % 4 !== 0)
      throw this.#corrupt(`a block declares an invalid length of ${length} bytes`)
    return length
  }

  #readBlock(type: number, body: Buffer): void {
    switch (type) {
      case SECTION_HEADER: {
        this.#readSection(body)
        return
      }
      case INTERFACE_DESCRIPTION: {
        this.#readInterface(body)
        return
      }
      case ENHANCED_PACKET: {
        this.#readPacket(body, 20, body.length >= 20 ? this.#reader.uint32(body, 0) : 0)
        return
      }
      case PACKET: {
        this.#readPacket(body, 20, body.length >= 20 ? this.#reader.uint16(body, 0) : 0)
        return
      }
      default: {
        this.#readSimplePacket(body)
        return
      }
    }
  }

  #readSection(body: Buffer): void {
    if (body.length < 16) throw this.#corrupt('a section header is too short')
    const major = this.#reader.uint16(body, 4)
    if (major !== 1) throw this.#corrupt(`pcapng version ${major} is not supported (only version 1)`)
    this.#interfaces = []
  }

  #readInterface(body: Buffer): void {
    if (body.length < 8) throw this.#corrupt('an interface description is too short')
    if (this.#interfaces.length >= MAX_INTERFACES) throw this.#corrupt(`more than ${MAX_INTERFACES} interfaces`)
    this.#interfaces.push({
      linkType: this.#reader.uint16(body, 0),
      snapLength: this.#reader.uint32(body, 4),
      clock: this.#reader.clock(body.subarray(8))
    })
  }

  /** Reads an enhanced or obsolete packet block; they differ in the width of the interface id. */
  #readPacket(body: Buffer, headerLength: number, id: number): void {
    if (body.length < headerLength) throw this.#corrupt('a packet block is too short')
    const from = this.#interfaces.at(id)
    if (from === undefined)
      throw this.#corrupt(`frame ${this.#frames + 1} refers to interface ${id}, which is not described`)
    const captured = this.#reader.uint32(body, 12)
    if (captured > body.length - headerLength)
      throw this.#corrupt(`frame ${this.#frames + 1} declares ${captured} captured bytes, more than its block contains`)
    const time = from.clock.timeOf(this.#reader.uint32(body, 4), this.#reader.uint32(body, 8))
    this.#deliver(
      from.linkType,
      time.seconds,
      time.nanoseconds,
      this.#reader.uint32(body, 16),
      body.subarray(headerLength, headerLength + captured)
    )
  }

  #readSimplePacket(body: Buffer): void {
    const from = this.#interfaces.at(0)
    if (body.length < 4) throw this.#corrupt('a packet block is too short')
    if (from === undefined) throw this.#corrupt(`frame ${this.#frames + 1} precedes the first interface description`)
    const wireLength = this.#reader.uint32(body, 0)
    const captured = Math.min(wireLength, from.snapLength === 0 ? wireLength : from.snapLength, body.length - 4)
    this.#deliver(from.linkType, 0, 0, wireLength, body.subarray(4, 4 + captured))
  }

  #deliver(linkType: number, seconds: number, nanoseconds: number, wireLength: number, bytes: Buffer): void {
    this.#frames++
    if (bytes.length > MAX_CAPTURED_LENGTH)
      throw this.#corrupt(`frame ${this.#frames} has ${bytes.length} captured bytes (maximum ${MAX_CAPTURED_LENGTH})`)
    this.#onFrame({
      seconds,
      nanoseconds,
      linkType,
      wireLength,
      bytes: bytes.length > wireLength ? bytes.subarray(0, wireLength) : bytes
    })
  }

  #corrupt(found: string): Error {
    return corruptCapture(found, this.#block)
  }
}

function isSupported(type: number): boolean {
  return (
    type === ENHANCED_PACKET ||
    type === INTERFACE_DESCRIPTION ||
    type === SECTION_HEADER ||
    type === SIMPLE_PACKET ||
    type === PACKET
  )
}
