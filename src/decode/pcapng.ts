// pcapng files as they arrive: several sections and interfaces, any resolution, either byte order.
import type { CapturedFrame } from '../types.js'
import { MAX_CAPTURED_LENGTH, corruptCapture, cutShort, notACapture } from './capture-errors.js'
import type { FrameClock } from './pcapng-clock.js'
import { PendingBytes } from './pending-bytes.js'
import { PcapngReader } from './pcapng-reader.js'

const SECTION_HEADER = 0x0a0d0d0a
const INTERFACE_DESCRIPTION = 1
/** The block that the enhanced one replaced; old captures hold it. */
const PACKET = 2
const SIMPLE_PACKET = 3
const ENHANCED_PACKET = 6

/**
 * Blocks that Wireshark numbers as frames, although no network ever carried them: systemd's journal,
 * Sysdig's events, custom blocks. They are numbered here too, as frames of no link type.
 */
const NUMBERED: ReadonlySet<number> = new Set([9, 0x204, 0xbad, 0x4000_0bad])
const NO_LINK_TYPE = -1
const NOTHING = Buffer.alloc(0)

const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const BYTE_ORDER_MAGIC_SWAPPED = 0x4d3c2b1a
/** Type, length, byte-order magic: what is needed to know the length of a section header. */
const PREFIX_LENGTH = 12
const SMALLEST_BLOCK = 12
/** Room for a largest frame and as much again for its options. */
const LARGEST_BLOCK = 2 * MAX_CAPTURED_LENGTH
/** No machine has more interfaces; a file that announces more wants only memory. */
const MAX_INTERFACES = 65_536

interface Interface {
  linkType: number
  /** Bytes kept of each frame, 0 for all. */
  snapLength: number
  clock: FrameClock
}

/** Whether the first four bytes of a file, read as a big-endian number, open a pcapng file. */
export function isPcapngMagic(magic: number): boolean {
  return magic === SECTION_HEADER
}

/**
 * Decodes a pcapng file. `onFrame` is called from within `push`; a frame's bytes are a view of the
 * pushed ones. Unknown blocks are stepped over whatever their length. A simple packet block has no
 * time: its frame stands at the epoch. Throws an `OperatorError` (`capture-corrupt`; from `end`
 * also `capture-cut-short`), after which the decoder is not to be used again.
 */
export class PcapngDecoder {
  readonly #onFrame: (frame: CapturedFrame) => void
  #reader = new PcapngReader(true)
  #interfaces: Interface[] = []
  readonly #pending = new PendingBytes()
  /** Bytes needed before anything can be done. */
  #needed = PREFIX_LENGTH
  /** Bytes of an unknown block that are still to be stepped over. */
  #skipping = 0
  /** Offset in the file of the block in progress. */
  #block = 0
  #received = 0
  #frames = 0

  constructor(onFrame: (frame: CapturedFrame) => void) {
    this.#onFrame = onFrame
  }

  /** Takes the next bytes of the file. */
  push(chunk: Buffer): void {
    this.#received += chunk.length
    const skipped = Math.min(this.#skipping, chunk.length)
    this.#skipping -= skipped
    if (skipped === chunk.length) return
    const bytes = this.#pending.add(skipped === 0 ? chunk : chunk.subarray(skipped), this.#needed)
    if (bytes === null) return
    const used = this.#walk(bytes)
    this.#pending.keep(bytes.subarray(used))
  }

  /** The file is over. */
  end(): void {
    if (this.#pending.length > 0 || this.#skipping > 0) throw cutShort(this.#frames, this.#received - this.#block)
  }

  /** Reads whole blocks; gives how many bytes it used. */
  #walk(bytes: Buffer): number {
    let at = 0
    for (;;) {
      this.#needed = PREFIX_LENGTH
      if (bytes.length - at < PREFIX_LENGTH) return at
      this.#block = this.#received - (bytes.length - at)
      const type = this.#typeOf(bytes, at)
      const length = this.#lengthOf(bytes, at)
      if (!isRead(type)) {
        if (NUMBERED.has(type)) this.#deliver(NO_LINK_TYPE, 0, 0, 0, NOTHING)
        const present = Math.min(length, bytes.length - at)
        this.#skipping = length - present
        at += present
      } else {
        if (length > LARGEST_BLOCK) throw this.#corrupt(`a block of type ${type} says it is ${length} bytes long`)
        this.#needed = length
        if (bytes.length - at < length) return at
        if (this.#reader.uint32(bytes, at + length - 4) !== length)
          throw this.#corrupt('the two lengths of a block differ')
        this.#readBlock(type, bytes.subarray(at + 8, at + length - 4))
        at += length
      }
    }
  }

  /** The type of the block at `at`; a section header's byte order holds from there on. */
  #typeOf(bytes: Buffer, at: number): number {
    if (bytes.readUInt32BE(at) !== SECTION_HEADER) return this.#reader.uint32(bytes, at)
    const magic = bytes.readUInt32LE(at + 8)
    if (magic !== BYTE_ORDER_MAGIC && magic !== BYTE_ORDER_MAGIC_SWAPPED) {
      throw this.#block === 0
        ? notACapture('it opens like pcapng, but without a byte-order mark')
        : this.#corrupt('a section has no byte-order mark')
    }
    this.#reader = new PcapngReader(magic === BYTE_ORDER_MAGIC)
    return SECTION_HEADER
  }

  #lengthOf(bytes: Buffer, at: number): number {
    const length = this.#reader.uint32(bytes, at + 4)
    if (length < SMALLEST_BLOCK || length % 4 !== 0) throw this.#corrupt(`a block says it is ${length} bytes long`)
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
    if (major !== 1) throw this.#corrupt(`a section says version ${major}, and only version 1 is known`)
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

  /** Enhanced and old packet blocks: the same but for the width of the interface's number. */
  #readPacket(body: Buffer, headerLength: number, id: number): void {
    if (body.length < headerLength) throw this.#corrupt('a packet block is too short')
    const from = this.#interfaces.at(id)
    if (from === undefined)
      throw this.#corrupt(`frame ${this.#frames + 1} names interface ${id}, which was not described`)
    const captured = this.#reader.uint32(body, 12)
    if (captured > body.length - headerLength)
      throw this.#corrupt(`frame ${this.#frames + 1} says it holds ${captured} bytes, more than its block`)
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
    if (from === undefined) throw this.#corrupt(`frame ${this.#frames + 1} comes before any interface was described`)
    const wireLength = this.#reader.uint32(body, 0)
    const captured = Math.min(wireLength, from.snapLength === 0 ? wireLength : from.snapLength, body.length - 4)
    this.#deliver(from.linkType, 0, 0, wireLength, body.subarray(4, 4 + captured))
  }

  #deliver(linkType: number, seconds: number, nanoseconds: number, wireLength: number, bytes: Buffer): void {
    this.#frames++
    if (bytes.length > MAX_CAPTURED_LENGTH)
      throw this.#corrupt(`frame ${this.#frames} says it holds ${bytes.length} bytes`)
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

function isRead(type: number): boolean {
  return (
    type === ENHANCED_PACKET ||
    type === INTERFACE_DESCRIPTION ||
    type === SECTION_HEADER ||
    type === SIMPLE_PACKET ||
    type === PACKET
  )
}
