// pcapng: sections, interfaces, resolutions, block types, chunks of any size, and damaged files.
import t from 'tap'
import { CaptureDecoder } from '../../src/decode/capture.js'
import type { CapturedFrame } from '../../src/types.js'
import { captured } from './craft.js'
import { pcapngFile } from './craft-pcapng.js'

const frame = captured(Buffer.from('a frame of 24 bytes here'), { time: 1_700_000_000.5, wireLength: 90 })
const short = captured(Buffer.from('odd'), { time: 1_700_000_001.25 })

function decode(file: Buffer, portion = file.length): CapturedFrame[] {
  const result: CapturedFrame[] = []
  const decoder = new CaptureDecoder(frame => {
    result.push({ ...frame, bytes: Buffer.from(frame.bytes) })
  })
  for (let at = 0; at < file.length; at += portion) decoder.push(file.subarray(at, at + portion))
  decoder.end()
  return result
}

function decodeUntilError(file: Buffer): { frames: number; error: unknown } {
  let frames = 0
  const decoder = new CaptureDecoder(() => {
    frames++
  })
  try {
    decoder.push(file)
    decoder.end()
  } catch (error) {
    return { frames, error }
  }
  return { frames, error: null }
}

/** Offset of the first block after the section header and its interface. */
function firstPacketAt(file: Buffer): number {
  const section = file.readUInt32LE(4)
  return section + file.readUInt32LE(section + 4)
}

t.test('uses the link type and clock of each interface', async t => {
  for (const bigEndian of [false, true]) {
    const exact = { ...frame, nanoseconds: 123_456_789 }
    const file = pcapngFile(
      [
        { linkType: 1 },
        { linkType: 113, resolution: 9 },
        { linkType: 101, resolution: 0x80 | 20 },
        { linkType: 276, resolution: 0 },
        { linkType: 1, offset: -3600n }
      ],
      [0, 1, 2, 3, 4].map(id => ({ interface: id, frame: exact })),
      { bigEndian }
    )
    t.match(decode(file), [
      { linkType: 1, nanoseconds: 123_456_000 },
      { linkType: 113, nanoseconds: 123_456_789 },
      { linkType: 101, nanoseconds: Math.floor((Math.floor(0.123456789 * 2 ** 20) / 2 ** 20) * 1e9) },
      { linkType: 276, nanoseconds: 0 },
      { linkType: 1, nanoseconds: 123_456_000 }
    ])
    t.ok(decode(file).every(({ seconds, wireLength }) => seconds === 1_700_000_000 && wireLength === 90))
  }
})

t.test('reads sections with different byte orders, interfaces and clocks', async t => {
  const file = Buffer.concat([
    pcapngFile([{ linkType: 1 }, { linkType: 1 }], [{ interface: 1, frame }]),
    pcapngFile([{ linkType: 101 }], [{ interface: 0, frame: short }], { bigEndian: true, old: true })
  ])
  t.same(decode(file), [frame, { ...short, linkType: 101 }])
  const outside = Buffer.concat([
    file,
    pcapngFile([{ linkType: 1 }, { linkType: 1 }], []),
    pcapngFile([{ linkType: 1 }], [{ interface: 0, frame }])
  ])
  t.equal(decode(outside).length, 3)
  const forgotten = Buffer.concat([
    pcapngFile([{ linkType: 1 }, { linkType: 1 }], []),
    pcapngFile([{ linkType: 1 }], [])
  ])
  const late = pcapngFile([{ linkType: 1 }, { linkType: 1 }], [{ interface: 1, frame }])
  t.match(
    decodeUntilError(
      Buffer.concat([forgotten, late.subarray(firstPacketAt(late) + late.readUInt32LE(late.readUInt32LE(4) + 4))])
    ).error,
    { code: 'capture-corrupt', message: /interface 1/ }
  )
})

t.test('reads simple packet blocks without time, truncated at the snap length', async t => {
  t.same(decode(pcapngFile([{ linkType: 1 }], [{ interface: 0, frame: short }], { simple: true })), [
    { ...short, seconds: 0, nanoseconds: 0 }
  ])
  const whole = { ...frame, wireLength: frame.bytes.length }
  const [cut] = decode(
    pcapngFile([{ linkType: 1, snapLength: 10 }], [{ interface: 0, frame: whole }], { simple: true })
  )
  t.equal(cut.bytes.length, 10)
  t.equal(cut.wireLength, 24)
})

t.test('skips unknown blocks of any length', async t => {
  const extra = [
    { type: 5, body: Buffer.alloc(20) },
    { type: 0x7777, body: Buffer.alloc(900_000, 6) },
    { type: 0x8000_0001, body: Buffer.alloc(0) }
  ]
  const file = pcapngFile([{ linkType: 1 }], [{ interface: 0, frame }], { extra })
  t.same(decode(file), [frame])
  t.same(decode(file, 65_536), [frame])
})

t.test('numbers the blocks that Wireshark numbers as frames', async t => {
  const extra = [9, 0xbad, 0x4000_0bad].map(type => ({ type, body: Buffer.alloc(40) }))
  t.match(decode(pcapngFile([{ linkType: 1 }], [{ interface: 0, frame }], { extra })), [
    { linkType: -1, wireLength: 0 },
    { linkType: -1 },
    { linkType: -1 },
    { linkType: 1, wireLength: 90 }
  ])
})

t.test('accepts chunks of any size', async t => {
  const file = Buffer.concat([
    pcapngFile(
      [{ linkType: 1 }, { linkType: 113, resolution: 9 }],
      [
        { interface: 0, frame },
        { interface: 1, frame: short }
      ],
      { extra: [{ type: 5, body: Buffer.alloc(30) }] }
    ),
    pcapngFile([{ linkType: 1 }], [{ interface: 0, frame }], { bigEndian: true })
  ])
  const expected = decode(file)
  t.equal(expected.length, 3)
  for (let portion = 1; portion < file.length; portion++) {
    const result = decode(file, portion)
    if (JSON.stringify(result) !== JSON.stringify(expected)) t.same(result, expected, `chunks of ${portion} bytes`)
  }
})

t.test('reports truncation at any byte', async t => {
  const file = pcapngFile(
    [{ linkType: 1 }],
    [
      { interface: 0, frame },
      { interface: 0, frame: short }
    ],
    { extra: [{ type: 5, body: Buffer.alloc(30) }] }
  )
  let complete = 0
  for (let length = 4; length < file.length; length++) {
    const { frames, error } = decodeUntilError(file.subarray(0, length))
    if (error === null) complete++
    else if ((error as { code?: string }).code !== 'capture-cut-short')
      t.match(error, { code: 'capture-cut-short' }, `cut at ${length}`)
    if (frames > 2 || (frames === 2) !== length >= file.length) t.fail(`${frames} frames when cut at ${length}`)
  }
  t.equal(complete, 4, 'only at the end of a block')
})

t.test('rejects invalid structure', async t => {
  const sound = pcapngFile(
    [{ linkType: 1 }],
    [
      { interface: 0, frame },
      { interface: 0, frame }
    ]
  )
  const at = firstPacketAt(sound)
  const length = sound.readUInt32LE(at + 4)
  const broken = (change: (file: Buffer) => void): { frames: number; error: unknown } => {
    const file = Buffer.from(sound)
    change(file)
    return decodeUntilError(file)
  }
  t.same(
    broken(() => undefined),
    { frames: 2, error: null }
  )
  const cases: [string, (file: Buffer) => void, RegExp][] = [
    ['a length that is not a multiple of 4', file => file.writeUInt32LE(length + 1, at + length + 4), /invalid length/],
    ['a length too small', file => file.writeUInt32LE(8, at + length + 4), /invalid length of 8 bytes/],
    ['an excessive length', file => file.writeUInt32LE(0x7fff_fffc, at + length + 4), /declares \d+ bytes/],
    [
      'lengths that differ',
      file => file.writeUInt32LE(length + 4, at + length * 2 - 4),
      /length fields of a block differ/
    ],
    [
      'more captured bytes than the block contains',
      file => file.writeUInt32LE(5000, at + length + 20),
      /frame 2 declares 5000 captured bytes/
    ],
    ['an unknown interface', file => file.writeUInt32LE(7, at + length + 8), /interface 7/]
  ]
  for (const [name, change, message] of cases) {
    const { frames, error } = broken(change)
    t.match(error, { code: 'capture-corrupt', message }, name)
    t.equal(frames, 1, `${name}: the frame before it is delivered`)
  }
  t.match(broken(file => file.writeUInt32LE(0, 8)).error, { code: 'capture-not-recognised' })
  t.match(broken(file => file.writeUInt16LE(2, 12)).error, { code: 'capture-corrupt', message: /version 2/ })
  t.match(decodeUntilError(Buffer.concat([sound, Buffer.from('0a0d0d0a1c00000011223344', 'hex')])).error, {
    code: 'capture-corrupt',
    message: /byte-order/
  })
  const none = pcapngFile([], [{ interface: 0, frame }], { simple: true })
  t.match(decodeUntilError(none).error, { code: 'capture-corrupt', message: /precedes the first interface/ })
})

t.test('throws only capture errors on arbitrary bytes', async t => {
  const sound = pcapngFile(
    [{ linkType: 1, resolution: 9, offset: 5n }],
    [
      { interface: 0, frame },
      { interface: 0, frame: short }
    ],
    { extra: [{ type: 5, body: Buffer.alloc(8) }] }
  )
  let seed = 5
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff
    return (seed >> 4) % below
  }
  for (let i = 0; i < 20_000; i++) {
    const file = Buffer.from(sound)
    for (let j = 0; j < 3; j++) file[random(file.length)] = random(256)
    const { error } = decodeUntilError(file)
    if (error !== null && !/^capture-/.test(String((error as { code?: string }).code)))
      t.error(error, file.toString('hex'))
  }
})

t.test('clamps invalid times', async t => {
  const at = (offset: bigint): CapturedFrame | undefined => {
    const file = pcapngFile(
      [{ linkType: 1, resolution: 6, offset }],
      [{ interface: 0, frame: { ...frame, seconds: Number(offset) + 5 } }]
    )
    return decode(file)[0]
  }
  t.match(at(-1_000n), { seconds: 0, nanoseconds: 0 })
  t.match(at(1_000n), { seconds: 1_005 })
  t.match(at(2n ** 62n), { seconds: 999_999_999_999 })
})
