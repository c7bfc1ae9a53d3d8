// Builds pcapng files block by block for tests.
import type { CapturedFrame } from '../../src/types.js'

/** An interface description. */
export interface CraftedInterface {
  linkType: number
  snapLength?: number
  /** Byte of if_tsresol. */
  resolution?: number
  /** Seconds of if_tsoffset. */
  offset?: bigint
}

/** A frame and its interface. */
export interface CraftedPacket {
  interface: number
  frame: CapturedFrame
}

/** Options of a section. */
export interface SectionStyle {
  bigEndian?: boolean
  /** Writes obsolete packet blocks. */
  old?: boolean
  /** Writes simple packet blocks. */
  simple?: boolean
  /** Blocks between the interfaces and the packets. */
  extra?: readonly { type: number; body: Uint8Array }[]
}

/** Builds one section of a pcapng file. */
export function pcapngFile(
  interfaces: readonly CraftedInterface[],
  packets: readonly CraftedPacket[],
  style: SectionStyle = {}
): Buffer {
  const writer = new BlockWriter(style.bigEndian === true)
  const blocks = [
    writer.block(
      0x0a0d0d0a,
      Buffer.concat([
        writer.uint32(0x1a2b3c4d),
        writer.uint16(1),
        writer.uint16(0),
        Buffer.alloc(8, 0xff),
        writer.option(4, Buffer.from('a crafted section')),
        writer.option(0)
      ])
    ),
    ...interfaces.map(each => writer.interface(each)),
    ...(style.extra ?? []).map(({ type, body }) => writer.block(type, body)),
    ...packets.map(({ interface: id, frame }) =>
      style.simple === true
        ? writer.simplePacket(frame)
        : style.old === true
          ? writer.oldPacket(id, frame, interfaces[id])
          : writer.packet(id, frame, interfaces[id])
    )
  ]
  return Buffer.concat(blocks)
}

class BlockWriter {
  readonly #order: 'BE' | 'LE'

  constructor(bigEndian: boolean) {
    this.#order = bigEndian ? 'BE' : 'LE'
  }

  uint16(value: number): Buffer {
    const bytes = Buffer.alloc(2)
    bytes[`writeUInt16${this.#order}`](value)
    return bytes
  }

  uint32(value: number): Buffer {
    const bytes = Buffer.alloc(4)
    bytes[`writeUInt32${this.#order}`](value)
    return bytes
  }

  block(type: number, body: Uint8Array): Buffer {
    const padded = pad(body)
    const length = this.uint32(padded.length + 12)
    return Buffer.concat([this.uint32(type), length, padded, length])
  }

  option(code: number, value: Uint8Array = new Uint8Array(0)): Buffer {
    return Buffer.concat([this.uint16(code), this.uint16(value.length), pad(value)])
  }

  interface({ linkType, snapLength = 0, resolution, offset }: CraftedInterface): Buffer {
    const parts = [this.uint16(linkType), this.uint16(0), this.uint32(snapLength), this.option(2, Buffer.from('lo0'))]
    if (resolution !== undefined) parts.push(this.option(9, Buffer.from([resolution])))
    if (offset !== undefined) {
      const bytes = Buffer.alloc(8)
      bytes[`writeBigInt64${this.#order}`](offset)
      parts.push(this.option(14, bytes))
    }
    return this.block(1, Buffer.concat([...parts, this.option(0)]))
  }

  packet(id: number, frame: CapturedFrame, from: CraftedInterface): Buffer {
    return this.block(
      6,
      Buffer.concat([
        this.uint32(id),
        this.#time(frame, from),
        this.uint32(frame.bytes.length),
        this.uint32(frame.wireLength),
        pad(frame.bytes),
        this.option(1, Buffer.from('a comment')),
        this.option(0)
      ])
    )
  }

  oldPacket(id: number, frame: CapturedFrame, from: CraftedInterface): Buffer {
    return this.block(
      2,
      Buffer.concat([
        this.uint16(id),
        this.uint16(3),
        this.#time(frame, from),
        this.uint32(frame.bytes.length),
        this.uint32(frame.wireLength),
        pad(frame.bytes)
      ])
    )
  }

  simplePacket(frame: CapturedFrame): Buffer {
    return this.block(3, Buffer.concat([this.uint32(frame.wireLength), frame.bytes]))
  }

  #time({ seconds, nanoseconds }: CapturedFrame, { resolution = 6, offset = 0n }: CraftedInterface): Buffer {
    const perSecond = resolution < 128 ? 10n ** BigInt(resolution) : 2n ** BigInt(resolution - 128)
    const ticks = (BigInt(seconds) - offset) * perSecond + (BigInt(nanoseconds) * perSecond) / 1_000_000_000n
    return Buffer.concat([this.uint32(Number(ticks >> 32n)), this.uint32(Number(ticks & 0xffff_ffffn))])
  }
}

function pad(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}
