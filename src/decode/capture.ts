// Decodes a capture of any known format, which is detected by the first bytes, not by the file name.
import type { CapturedFrame } from '../types.js'
import { emptyCapture, notACapture } from './capture-errors.js'
import { PcapDecoder, isPcapMagic } from './pcap.js'
import { PcapngDecoder, isPcapngMagic } from './pcapng.js'

const MAGIC_LENGTH = 4

/** Interface of the format decoders. */
interface FormatDecoder {
  push(chunk: Buffer): void
  end(): void
}

/**
 * Decodes a pcap or pcapng file as its bytes arrive; for compressed files see decode/gunzip.ts. `push` calls
 * `onFrame` synchronously, in file order. Throws an `OperatorError`: `capture-empty`, `capture-not-recognised`,
 * `capture-corrupt`, or `capture-cut-short` (from `end`, after all complete frames were delivered). The caller adds
 * the file name.
 */
export class CaptureDecoder {
  readonly #onFrame: (frame: CapturedFrame) => void
  #decoder: FormatDecoder | null = null
  #head: Buffer = Buffer.alloc(0)

  constructor(onFrame: (frame: CapturedFrame) => void) {
    this.#onFrame = onFrame
  }

  /** Takes the next bytes of the file. */
  push(chunk: Buffer): void {
    if (this.#decoder !== null) {
      this.#decoder.push(chunk)
      return
    }
    this.#head = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk])
    if (this.#head.length < MAGIC_LENGTH) return
    this.#decoder = this.#decoderFor(this.#head.readUInt32BE(0))
    this.#decoder.push(this.#head)
  }

  /** Ends the file. */
  end(): void {
    if (this.#decoder !== null) this.#decoder.end()
    else if (this.#head.length === 0) throw emptyCapture()
    else throw notACapture(`it is only ${this.#head.length} bytes long`)
  }

  #decoderFor(magic: number): FormatDecoder {
    if (isPcapMagic(magic)) return new PcapDecoder(this.#onFrame)
    if (isPcapngMagic(magic)) return new PcapngDecoder(this.#onFrame)
    throw notACapture(describe(this.#head))
  }
}

/** Describes bytes that are not a capture. */
function describe(head: Buffer): string {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'it is compressed with gzip, which is supported only for files'
  const start = head.subarray(0, 16)
  const printable = start.every(
    byte => (byte >= 0x20 && byte < 0x7f) || byte === 0x0a || byte === 0x0d || byte === 0x09
  )
  return printable
    ? `it starts with the text ${JSON.stringify(start.toString('latin1'))}`
    : `it starts with the bytes ${start.toString('hex', 0, MAGIC_LENGTH)}`
}
