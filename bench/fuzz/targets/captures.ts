// Fuzz targets for capture files: pcap, pcapng and gzip.
import { gzipSync } from 'node:zlib'
import type { Random } from '../../../models/random.js'
import { CaptureDecoder } from '../../../src/decode/capture.js'
import { MAX_CAPTURED_LENGTH } from '../../../src/decode/capture-errors.js'
import { gunzipped } from '../../../src/decode/gunzip.js'
import { OperatorError } from '../../../src/errors.js'
import type { CapturedFrame } from '../../../src/types.js'
import { captured, pcapFile } from '../../../test/decode/craft.js'
import { pcapngFile } from '../../../test/decode/craft-pcapng.js'
import type { CraftedInterface } from '../../../test/decode/craft-pcapng.js'
import { check, portions, sameBytes } from '../target.js'
import type { FuzzTarget } from '../target.js'

const NANOSECONDS = 1e9
/** Highest compression ratio of deflate, according to zlib. */
const LARGEST_RATIO = 1_032
/** Longer inputs are not fed byte by byte, which would be slow. */
const SINGLE_BYTES_UP_TO = 400

interface Decoded {
  frames: CapturedFrame[]
  /** Error that ended the reading. */
  error: string
}

function decode(bytes: Iterable<Buffer>): Decoded {
  const frames: CapturedFrame[] = []
  const decoder = new CaptureDecoder(frame => {
    frames.push({ ...frame, bytes: Buffer.from(frame.bytes) })
  })
  try {
    for (const chunk of bytes) decoder.push(chunk)
    decoder.end()
    return { frames, error: '' }
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    // The error depends on how many bytes the first chunk has.
    return { frames, error: error.code === 'capture-not-recognised' ? error.code : `${error.code} ${error.message}` }
  }
}

function runCapture(input: Uint8Array): void {
  const whole = decode([Buffer.from(input)])
  let held = 0
  for (const { seconds, nanoseconds, wireLength, bytes } of whole.frames) {
    held += bytes.length
    check(Number.isSafeInteger(seconds) && seconds >= 0, 'the time of a frame is invalid')
    check(Number.isInteger(nanoseconds) && nanoseconds >= 0 && nanoseconds < NANOSECONDS, 'nanoseconds exceed a second')
    check(bytes.length <= wireLength, 'the captured length exceeds the wire length')
    check(bytes.length <= MAX_CAPTURED_LENGTH, 'a frame exceeds the maximum length')
  }
  check(held <= input.length, 'frames have more bytes than the file')
  const parts = decode(portions(input, input.length <= SINGLE_BYTES_UP_TO ? 1 : 97))
  check(parts.error === whole.error, 'chunked input ends with a different error')
  check(
    parts.frames.length === whole.frames.length && parts.frames.every((frame, i) => isSame(frame, whole.frames[i])),
    'chunked input gives different frames'
  )
}

function isSame(a: CapturedFrame, b: CapturedFrame): boolean {
  return (
    a.seconds === b.seconds &&
    a.nanoseconds === b.nanoseconds &&
    a.linkType === b.linkType &&
    a.wireLength === b.wireLength &&
    sameBytes(a.bytes, b.bytes)
  )
}

function anyFrames(random: Random): CapturedFrame[] {
  return Array.from({ length: random.integer(5) }, () => {
    const bytes = Buffer.alloc(random.integer(40), random.integer(256))
    const wireLength = random.integer(4) === 0 ? random.integer(100) : bytes.length
    return { ...captured(bytes, { wireLength }), seconds: random.uint32(), nanoseconds: random.integer(NANOSECONDS) }
  })
}

function anyPcap(random: Random): Buffer {
  return pcapFile(anyFrames(random), {
    nano: random.integer(2) === 0,
    bigEndian: random.integer(2) === 0,
    linkType: random.integer(300)
  })
}

export const pcapTarget: FuzzTarget = {
  name: 'pcap',
  properties: 'only coded errors; frames within the file; the same for single bytes and odd chunks',
  weight: 1,
  covers: ['src/decode/pcap.js', 'src/decode/capture.js', 'src/decode/pending-bytes.js'],
  generate: anyPcap,
  run: runCapture
}

export const pcapngTarget: FuzzTarget = {
  name: 'pcapng',
  properties: 'only coded errors; frames within the file; the same for single bytes and odd chunks',
  weight: 1,
  covers: [
    'src/decode/pcapng.js',
    'src/decode/pcapng-reader.js',
    'src/decode/pcapng-clock.js',
    'src/decode/capture.js'
  ],
  generate(random) {
    const sections = Array.from({ length: 1 + random.integer(2) }, () => {
      const interfaces: CraftedInterface[] = Array.from({ length: 1 + random.integer(3) }, () => ({
        linkType: random.integer(300),
        snapLength: random.integer(3) * 20,
        ...(random.integer(2) === 0 && { resolution: [0, 3, 6, 9, 0x8a, 0x94][random.integer(6)] }),
        ...(random.integer(3) === 0 && { offset: -BigInt(random.integer(2 ** 31)) })
      }))
      const packets = anyFrames(random).map(frame => ({ interface: random.integer(interfaces.length), frame }))
      const kind = random.integer(4)
      const extra = Array.from({ length: random.integer(3) }, () => ({
        type: [4, 5, 9, 10, 0xbad, 0x4000_0bad][random.integer(6)],
        body: Buffer.alloc(random.integer(20))
      }))
      return pcapngFile(interfaces, packets, {
        bigEndian: random.integer(2) === 0,
        old: kind === 1,
        simple: kind === 2,
        extra
      })
    })
    return Buffer.concat(sections)
  },
  run: runCapture
}

async function* source(chunks: Iterable<Buffer>): AsyncGenerator<Buffer> {
  yield* chunks
}

async function unpack(chunks: Iterable<Buffer>): Promise<{ bytes: Buffer; error: string }> {
  const parts: Buffer[] = []
  try {
    for await (const part of gunzipped(source(chunks))) parts.push(part)
    return { bytes: Buffer.concat(parts), error: '' }
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    return { bytes: Buffer.concat(parts), error: error.code }
  }
}

export const gzipTarget: FuzzTarget = {
  name: 'gzip',
  properties: 'only coded errors; output within the highest deflate ratio; the same in chunks',
  weight: 0.02,
  covers: ['src/decode/gunzip.js'],
  generate(random) {
    const content = anyPcap(random)
    const half = random.integer(content.length)
    const packed =
      random.integer(3) === 0
        ? Buffer.concat([gzipSync(content.subarray(0, half)), gzipSync(content.subarray(half))])
        : gzipSync(content)
    return random.integer(4) === 0 ? packed.subarray(0, random.integer(packed.length)) : packed
  },
  async run(input) {
    const whole = await unpack([Buffer.from(input)])
    check(whole.bytes.length <= input.length * LARGEST_RATIO, 'the output exceeds the highest deflate ratio')
    const parts = await unpack(portions(input, 61))
    check(parts.error === whole.error, 'chunked input ends with a different error')
    // The length of the output before a corruption may differ.
    const length = whole.error === '' ? whole.bytes.length : Math.min(parts.bytes.length, whole.bytes.length)
    check(whole.error !== '' || parts.bytes.length === length, 'chunked input gives an output of different length')
    check(
      sameBytes(parts.bytes.subarray(0, length), whole.bytes.subarray(0, length)),
      'chunked input gives different output'
    )
  }
}
