// Classic pcap: all resolutions and byte orders, chunks of any size, and damaged files.
import t from 'tap'
import { CaptureDecoder } from '../../src/decode/capture.js'
import { OperatorError } from '../../src/errors.js'
import type { CapturedFrame } from '../../src/types.js'
import { frameOf, captured, pcapFile } from './craft.js'

const frames = [
  captured(Buffer.from('first frame'), { time: 1_700_000_000.000001, wireLength: 90 }),
  frameOf({ payload: Buffer.from('second') }, 1_700_000_001.5),
  captured(Buffer.alloc(0), { time: 1_700_000_002.25, wireLength: 60 })
]

function decode(file: Buffer, cut = 0): CapturedFrame[] {
  const result: CapturedFrame[] = []
  const decoder = new CaptureDecoder(frame => {
    result.push({ ...frame, bytes: Buffer.from(frame.bytes) })
  })
  if (cut > 0) decoder.push(file.subarray(0, cut))
  decoder.push(file.subarray(cut))
  decoder.end()
  return result
}

/** Decodes bytes that cause an error. Returns the frames delivered before it and the error. */
function decodeUntilError(file: Buffer): { frames: number; error: unknown } {
  let count = 0
  const decoder = new CaptureDecoder(() => {
    count++
  })
  try {
    if (file.length > 0) decoder.push(file)
    decoder.end()
  } catch (error) {
    return { frames: count, error }
  }
  return { frames: count, error: null }
}

for (const nano of [false, true]) {
  for (const bigEndian of [false, true]) {
    t.test(
      `${nano ? 'nanosecond' : 'microsecond'}, ${bigEndian ? 'big' : 'little'} endian, split at every byte`,
      async t => {
        const exact = frames.map((frame, i) => (nano ? { ...frame, nanoseconds: 123_456_789 + i } : frame))
        const file = pcapFile(exact, { nano, bigEndian, linkType: 113 })
        const expected = exact.map(frame => ({
          ...frame,
          linkType: 113,
          nanoseconds: nano ? frame.nanoseconds : Math.floor(frame.nanoseconds / 1000) * 1000
        }))
        t.same(decode(file), expected)
        for (let cut = 1; cut < file.length; cut++) {
          const result = decode(file, cut)
          if (JSON.stringify(result) !== JSON.stringify(expected)) t.same(result, expected, `split at ${cut}`)
        }
      }
    )
  }
}

t.test('ignores the frame check sequence bits of the link type', async t => {
  const file = pcapFile([frames[0]])
  file.writeUInt32LE(0x14000001, 20)
  t.equal(decode(file)[0]?.linkType, 1)
})

t.test('truncates captured bytes to the wire length', async t => {
  const [frame] = decode(pcapFile([captured(Buffer.from('0123456789'), { wireLength: 4 })]))
  t.equal(frame.bytes.toString(), '0123')
  t.equal(frame.wireLength, 4)
})

t.test('accepts a capture without frames', async t => {
  t.same(decode(pcapFile([])), [])
})

t.test('rejects an empty file', async t => {
  const { error } = decodeUntilError(Buffer.alloc(0))
  t.match(error, { name: 'OperatorError', code: 'capture-empty', remedy: /./ })
})

t.test('describes the content of a file that is not a capture', async t => {
  t.match(decodeUntilError(Buffer.from('time,source\n1,2\n')).error, {
    code: 'capture-not-recognised',
    message: /"time,source/
  })
  t.match(decodeUntilError(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0])).error, {
    code: 'capture-not-recognised',
    message: /7f454c46/
  })
  t.match(decodeUntilError(Buffer.from('ab')).error, { code: 'capture-not-recognised', message: /2 bytes/ })
})

t.test('rejects an unsupported pcap version', async t => {
  const file = pcapFile(frames)
  file.writeUInt16LE(3, 4)
  t.match(decodeUntilError(file).error, { code: 'capture-not-recognised', message: /version 3/ })
})

t.test('stops at an invalid record length, after the valid frames', async t => {
  const file = pcapFile(frames)
  file.writeUInt32LE(0x7fff_ffff, 24 + 16 + 11 + 8)
  const { frames: count, error } = decodeUntilError(file)
  t.equal(count, 1)
  t.match(error, { code: 'capture-corrupt', message: /byte 51/ })
})

t.test('delivers the complete frames of a truncated file and reports the truncation', async t => {
  const file = pcapFile(frames)
  const ends = [24, 51, 127, 143]
  t.equal(ends.at(-1), file.length)
  for (let length = 4; length < file.length; length++) {
    const { frames: count, error } = decodeUntilError(file.subarray(0, length))
    const completeFrames = Math.max(0, ends.filter(end => end <= length).length - 1)
    if (count !== completeFrames) t.equal(count, completeFrames, `cut at ${length}`)
    if (ends.includes(length)) t.equal(error, null, `complete at ${length}`)
    else if (!(error instanceof OperatorError) || error.code !== 'capture-cut-short')
      t.match(error, { code: 'capture-cut-short' }, `cut at ${length}`)
  }
})

t.test('carries over a fraction of more than a second', async t => {
  const file = pcapFile([captured(Buffer.from('x'), { time: 10 })])
  file.writeUInt32LE(0xffff_ffff, 28)
  t.match(decode(file), [{ seconds: 10 + 4294, nanoseconds: 967_295_000 }])
})
