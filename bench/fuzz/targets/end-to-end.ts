// End-to-end fuzz targets: from capture bytes to output lines, and one decoder for all inputs.
import type { Random } from '../../../models/random.js'
import { FEATURES } from '../../../src/features/schema.js'
import { recordWriter } from '../../../src/features/record-writer.js'
import { CaptureRecords } from '../../../src/join/capture-records.js'
import { DecodedJoin } from '../../../src/join/decoded.js'
import { TcpDecoder } from '../../../src/decode/tcp-decoder.js'
import { TcpStreams } from '../../../src/decode/tcp-streams.js'
import { OperatorError } from '../../../src/errors.js'
import type { CapturedFrame } from '../../../src/types.js'
import {
  ACK,
  FIN,
  PSH,
  RST,
  SYN,
  captured,
  ethernetBytes,
  frameOf,
  ipv4Bytes,
  pcapFile,
  tcpBytes
} from '../../../test/decode/craft.js'
import { check, portions } from '../target.js'
import type { FuzzTarget } from '../target.js'
import { anyPackets } from './packets.js'

const FILE_HEADER = 24
const RECORD_HEADER = 16
/** End of the IPv4 addresses in an Ethernet frame. */
const ADDRESSES_END = 34
const CSV_FIELDS = FEATURES.length + 2
const FLAGS = [ACK, ACK | PSH, ACK | PSH, ACK | FIN, SYN, SYN | ACK, RST]

function anyCapture(random: Random): Buffer {
  const frames: CapturedFrame[] = []
  const ends = new Map<number, number>()
  for (let i = 1 + random.integer(8); i > 0; i--) {
    const sourcePort = 40_000 + random.integer(3)
    const payload =
      random.integer(4) === 0 ? Buffer.alloc(0) : anyPackets(random, 4, 1 + random.integer(2)).subarray(0, 200)
    const sequence = ends.get(sourcePort) ?? random.uint32()
    const flags = FLAGS[random.integer(FLAGS.length)]
    ends.set(sourcePort, (sequence + payload.length + ((flags & SYN) === 0 ? 0 : 1)) >>> 0)
    frames.push(
      random.integer(6) === 0
        ? captured(
            ethernetBytes(
              ipv4Bytes(tcpBytes({ sourcePort, sequence, payload, flags }).subarray(0, 24), {
                id: random.integer(3),
                fragmentWord: (random.integer(2) * 0x2000) | random.integer(4)
              })
            )
          )
        : frameOf({ sourcePort, sequence, payload, flags }, i * 1.5)
    )
  }
  return pcapFile(frames, { nano: random.integer(2) === 0 })
}

function lines(parts: Iterable<Buffer>, format: 'csv' | 'ndjson'): string[] {
  const writer = recordWriter(format, false)
  const found: string[] = []
  const capture = new CaptureRecords(record => {
    found.push(writer.line(record, ''))
  })
  try {
    for (const part of parts) capture.push(part)
    capture.end()
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    found.push(error.code)
  }
  return found
}

export const extractTarget: FuzzTarget = {
  name: 'extract',
  properties: 'a line of 33 fields per record; CSV equals JSON; the same in chunks; repeatable',
  weight: 0.3,
  covers: [
    'src/join/capture-records.js',
    'src/features/extractor.js',
    'src/features/record-writer.js',
    'src/decode/tcp-decoder.js',
    'src/decode/tcp-streams.js',
    'src/decode/reassembly.js',
    'src/join/decoded.js',
    'src/decode/mqtt.js',
    'src/decode/mqtt-body.js',
    'src/decode/mqtt-filters.js'
  ],
  generate: anyCapture,
  run(input) {
    const csv = lines([Buffer.from(input)], 'csv')
    const json = lines(portions(input, 113), 'ndjson')
    check(csv.length === json.length, 'chunked input gives a different number of records')
    for (let i = 0; i < csv.length; i++) {
      if (!csv[i].endsWith('\n')) {
        check(csv[i] === json[i], 'chunked input ends with a different error')
        continue
      }
      const fields = csv[i].slice(0, -1).split(',')
      check(fields.length === CSV_FIELDS, 'a line has the wrong number of fields')
      const values = Object.values(JSON.parse(json[i]) as Record<string, unknown>)
      check(
        values.every((value, j) =>
          value === null || typeof value === 'string' ? (value ?? '') === fields[j] : Number(fields[j]) === value
        ),
        'CSV and JSON differ'
      )
    }
    check(lines([Buffer.from(input)], 'csv').join('') === csv.join(''), 'the second run gives different records')
  }
}

const ENDLESS_LIMITS = {
  streams: 2_000,
  heldBytes: 100_000,
  heldSegments: 64,
  heldBytesTotal: 2_000_000,
  datagrams: 64,
  pieces: 16,
  ageSeconds: 60
}
const ENDLESS_FRAGMENTS = { ...ENDLESS_LIMITS, heldBytes: 500_000 }
const PORTS: ReadonlySet<number> = new Set([1883])

/** A decoder whose state is kept for all inputs. */
class Endless {
  readonly #tcp = new TcpDecoder(PORTS, ENDLESS_FRAGMENTS)
  readonly #streams = new TcpStreams(PORTS, ENDLESS_LIMITS)
  readonly #join = new DecodedJoin({ topicCapBytes: 256, payloadCapBytes: 1_024 })
  #frames = 0

  see(bytes: Buffer): void {
    const frame = this.#tcp.decode(captured(bytes, { time: ++this.#frames / 16 }), this.#frames)
    if (frame !== null) this.#join.push(this.#streams.push(frame))
    check(this.#streams.open <= ENDLESS_LIMITS.streams, 'too many streams are kept')
    check(
      this.#streams.heldBytes <= ENDLESS_LIMITS.heldBytesTotal && this.#tcp.heldBytes <= ENDLESS_FRAGMENTS.heldBytes,
      'too many bytes are held'
    )
  }

  /** Client number; changes every few frames and repeats late. */
  get client(): number {
    return (this.#frames >> 2) % 1_000_003
  }
}

const endless = new Endless()

/** Feeds all inputs to one decoder: frames of new connections, in any state. */
export const endlessTarget: FuzzTarget = {
  name: 'endless',
  properties: 'one decoder for all inputs stays within its caps, with a flat heap',
  weight: 5,
  covers: [
    'src/decode/tcp-streams.js',
    'src/decode/tuples.js',
    'src/decode/fragments.js',
    'src/decode/reassembly.js',
    'src/join/decoded.js'
  ],
  generate: anyCapture,
  run(input) {
    // Split the input at its record headers.
    for (let at = FILE_HEADER; at + RECORD_HEADER < input.length;) {
      const bytes = Buffer.from(
        input.subarray(at + RECORD_HEADER, at + RECORD_HEADER + input[at + 8] + (input[at + 9] & 1) * 256)
      )
      at += RECORD_HEADER + bytes.length
      // Use new clients, so that the caps are exceeded.
      if (bytes.length >= ADDRESSES_END) bytes.writeUInt32BE(0x0a00_0000 + endless.client, ADDRESSES_END - 8)
      endless.see(bytes)
    }
  }
}
