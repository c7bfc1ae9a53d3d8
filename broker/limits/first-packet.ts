// Where the first packet of a connection ends.

/** The fixed header is the type and a length of four bytes at most (MQTT 3.1.1, 2.2.3). */
const MAX_HEADER_BYTES = 5

/** Follows the first packet of a connection over chunks of any size. */
export class FirstPacket {
  private headerBytes = 0
  private length = 0
  /** Bytes still to come; undefined until the fixed header is whole. */
  private left: number | undefined

  /** Whether it has come to its end. */
  get isWhole (): boolean {
    return this.left === 0
  }

  /** Takes the next chunk; how many of its bytes belong to the packet. Of a length that is none all are taken: the parser says what is wrong. */
  take (chunk: Uint8Array): number {
    let used = 0
    while (this.left === undefined && used < chunk.length) this.header(chunk[used++])
    if (this.left === undefined) return used
    const body = Math.min(this.left, chunk.length - used)
    this.left -= body
    return used + body
  }

  private header (byte: number): void {
    if (this.headerBytes++ === 0) return
    this.length += (byte & 0x7f) * 0x80 ** (this.headerBytes - 2)
    if (byte < 0x80) this.left = this.length
    else if (this.headerBytes === MAX_HEADER_BYTES) this.left = Infinity
  }
}
