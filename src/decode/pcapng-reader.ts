// Reads numbers and options of pcapng blocks in the byte order of their section.
import { FrameClock } from './pcapng-clock.js'

const OPTION_END = 0
const OPTION_RESOLUTION = 9
const OPTION_OFFSET = 14

/** Reader for one byte order. */
export class PcapngReader {
  readonly #little: boolean

  constructor(littleEndian: boolean) {
    this.#little = littleEndian
  }

  uint16(bytes: Buffer, at: number): number {
    return this.#little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at)
  }

  uint32(bytes: Buffer, at: number): number {
    return this.#little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at)
  }

  /** Creates the clock from the options of an interface description; the default is microseconds. */
  clock(options: Buffer): FrameClock {
    let resolution: number | undefined
    let offset = 0n
    for (let at = 0; at + 4 <= options.length;) {
      const code = this.uint16(options, at)
      const length = this.uint16(options, at + 2)
      const value = options.subarray(at + 4, at + 4 + length)
      if (code === OPTION_END) break
      if (code === OPTION_RESOLUTION && value.length === 1) resolution = value[0]
      if (code === OPTION_OFFSET && value.length === 8)
        offset = this.#little ? value.readBigInt64LE(0) : value.readBigInt64BE(0)
      at += 4 + length + ((4 - (length % 4)) % 4)
    }
    return new FrameClock(resolution, offset)
  }
}
