// Makes a large capture from small ones: their connections repeated, with different clients and later times.
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { CaptureDecoder } from '../../src/decode/capture.js'
import { gunzipped } from '../../src/decode/gunzip.js'
import { findIp } from '../../src/decode/link.js'
import { decodeTcp } from '../../test/decode/craft.js'
import type { CapturedFrame } from '../../src/types.js'

/** Number of interleaved copies. */
const SIDE_BY_SIDE = 50
/** Delay between copies, microseconds. */
const STAGGER = 37
const FILE_HEADER_BYTES = 24
const RECORD_HEADER_BYTES = 16
const IPV4_SOURCE = 12
const IPV4_DESTINATION = 16
const CLIENTS = 0x0a00_0000
const BROKER = 0xc0a8_0001
const MICROSECONDS = 1_000_000

interface BaseFrame {
  bytes: Buffer
  /** Offset of the IP header. */
  ip: number
  isFromClient: boolean
  /** Since the first frame, microseconds. */
  time: number
}

/** Reads the frames of captures with one link type and IPv4, one file after the other. */
async function baseFrames(
  files: readonly string[],
  ports: ReadonlySet<number>
): Promise<{ base: BaseFrame[]; linkType: number }> {
  const base: BaseFrame[] = []
  let linkType = -1
  let end = 0
  for (const file of files) {
    const start = end
    let first: number | undefined
    const decoder = new CaptureDecoder((frame: CapturedFrame) => {
      const tcp = decodeTcp(frame, 1, ports)
      const ip = findIp(frame.linkType, frame.bytes)
      if (linkType === -1) linkType = frame.linkType
      if (frame.linkType !== linkType || tcp === null || frame.bytes[ip] >> 4 !== 4) return
      const time = frame.seconds * MICROSECONDS + Math.floor(frame.nanoseconds / 1000)
      first ??= time
      end = start + time - first + STAGGER
      base.push({ bytes: Buffer.from(frame.bytes), ip, isFromClient: ports.has(tcp.tcp.destinationPort), time: end })
    })
    for await (const chunk of gunzipped(createReadStream(file))) decoder.push(chunk)
    decoder.end()
  }
  return { base, linkType }
}

/**
 * Writes a pcap with `count` frames. Each copy of the base has its own client address; ports, sequence numbers and
 * bytes are unchanged.
 */
export async function replicate(
  files: readonly string[],
  ports: ReadonlySet<number>,
  count: number,
  path: string
): Promise<void> {
  const { base, linkType } = await baseFrames(files, ports)
  const output = createWriteStream(path)
  output.write(fileHeader(linkType))
  const length = base[base.length - 1].time + SIDE_BY_SIDE * STAGGER
  let written = 0
  let time = 0
  for (let group = 0; written < count; group++) {
    for (const frame of base) {
      const parts: Buffer[] = []
      for (let copy = 0; copy < SIDE_BY_SIDE && written < count; copy++, written++) {
        time = Math.max(time, group * length + frame.time + copy * STAGGER)
        parts.push(recordOf(frame, CLIENTS + group * SIDE_BY_SIDE + copy, time))
      }
      if (!output.write(Buffer.concat(parts))) await once(output, 'drain')
    }
  }
  output.end()
  await once(output, 'close')
}

function fileHeader(linkType: number): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES)
  header.writeUInt32LE(0xa1b2c3d4, 0)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(262_144, 16)
  header.writeUInt32LE(linkType, 20)
  return header
}

function recordOf({ bytes, ip, isFromClient }: BaseFrame, client: number, time: number): Buffer {
  const record = Buffer.allocUnsafe(RECORD_HEADER_BYTES + bytes.length)
  record.writeUInt32LE(1_700_000_000 + Math.floor(time / MICROSECONDS), 0)
  record.writeUInt32LE(time % MICROSECONDS, 4)
  record.writeUInt32LE(bytes.length, 8)
  record.writeUInt32LE(bytes.length, 12)
  bytes.copy(record, RECORD_HEADER_BYTES)
  record.writeUInt32BE(isFromClient ? client : BROKER, RECORD_HEADER_BYTES + ip + IPV4_SOURCE)
  record.writeUInt32BE(isFromClient ? BROKER : client, RECORD_HEADER_BYTES + ip + IPV4_DESTINATION)
  return record
}
