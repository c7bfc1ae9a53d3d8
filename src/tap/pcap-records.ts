// Splits a stream of classic pcap at record boundaries and counts records, so that an interrupted capture is a valid
// file.

import { OperatorError } from '../errors.js'

const FILE_HEADER_BYTES = 24
const RECORD_HEADER_BYTES = 16
const CAPTURED_LENGTH_OFFSET = 8

/** Largest valid record, bytes: tcpdump's maximum snap length (MAXIMUM_SNAPLEN). */
const MAX_RECORD_BYTES = 262_144

/** Whether a magic number, read in little-endian order, means little-endian pcap (microseconds or nanoseconds). */
const LITTLE_ENDIAN = new Map([
  [0xa1b2c3d4, true],
  [0xa1b23c4d, true],
  [0xd4c3b2a1, false],
  [0x4d3cb2a1, false]
])

/** Splits one capture, chunk by chunk. */
export class PcapRecords {
  /** Number of records returned. */
  count = 0
  #rest: Buffer = Buffer.alloc(0)
  #littleEndian: boolean | undefined

  /** @param limit maximum number of records to return */
  constructor(readonly limit = Infinity) {}

  /** Whether the limit is reached. */
  get complete(): boolean {
    return this.count >= this.limit
  }

  /**
   * Adds a chunk. Returns the bytes up to the end of the last complete record.
   * @throws OperatorError `capture-not-recognised` if the bytes are not pcap.
   */
  push(chunk: Buffer): Buffer {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let end = 0
    if (this.#littleEndian === undefined) {
      if (bytes.length >= FILE_HEADER_BYTES) {
        this.#littleEndian = byteOrder(bytes)
        end = FILE_HEADER_BYTES
      }
    }
    while (this.#littleEndian !== undefined && !this.complete && bytes.length - end >= RECORD_HEADER_BYTES) {
      const at = end + CAPTURED_LENGTH_OFFSET
      const length = this.#littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at)
      if (length > MAX_RECORD_BYTES) throw notRecognised(`a record declares ${length} bytes`)
      if (bytes.length - end < RECORD_HEADER_BYTES + length) break
      end += RECORD_HEADER_BYTES + length
      this.count++
    }
    this.#rest = bytes.subarray(end)
    return bytes.subarray(0, end)
  }
}

function byteOrder(bytes: Buffer): boolean {
  const order = LITTLE_ENDIAN.get(bytes.readUInt32LE(0))
  if (order === undefined) throw notRecognised(`it starts with ${bytes.toString('hex', 0, 4)}`)
  return order
}

function notRecognised(reason: string): OperatorError {
  return new OperatorError(
    'capture-not-recognised',
    `The tap output is not pcap: ${reason}.`,
    'Check that the login shell prints nothing. Convert a pcapng file to pcap: editcap -F pcap IN OUT'
  )
}
