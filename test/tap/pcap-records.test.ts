// Splitting a pcap stream at record boundaries, for chunks of any size.

import t from 'tap'
import { PcapRecords } from '../../src/tap/pcap-records.js'

/** Builds a capture with records of the given lengths. */
function capture(magic: string, lengths: readonly number[]): Buffer {
  const little = magic === 'd4c3b2a1' || magic === '4d3cb2a1'
  const header = Buffer.concat([Buffer.from(magic, 'hex'), Buffer.alloc(20)])
  const records = lengths.map((length, index) => {
    const record = Buffer.alloc(16 + length, index + 1)
    if (little) record.writeUInt32LE(length, 8)
    else record.writeUInt32BE(length, 8)
    return record
  })
  return Buffer.concat([header, ...records])
}

for (const magic of ['d4c3b2a1', '4d3cb2a1', 'a1b2c3d4', 'a1b23c4d']) {
  t.test(`${magic}, split at every byte`, async t => {
    const whole = capture(magic, [5, 0, 300])
    for (let cut = 0; cut <= whole.length; cut++) {
      const records = new PcapRecords()
      const out = Buffer.concat([records.push(whole.subarray(0, cut)), records.push(whole.subarray(cut))])
      if (!out.equals(whole) || records.count !== 3) t.fail(`cut at ${cut}`)
    }
    const records = new PcapRecords()
    const out = Buffer.concat(
      Array.from(whole, (_, index) => Buffer.from(records.push(whole.subarray(index, index + 1))))
    )
    t.same(out, whole, 'byte by byte')
  })
}

t.test('withholds an incomplete record', async t => {
  const whole = capture('d4c3b2a1', [5, 7])
  for (let length = 0; length < whole.length; length++) {
    const out = new PcapRecords().push(whole.subarray(0, length))
    t.equal(out.length, length < 24 ? 0 : length < 45 ? 24 : 45)
  }
})

t.test('stops after the limit of records', async t => {
  const records = new PcapRecords(2)
  t.equal(records.push(capture('d4c3b2a1', [5, 7, 9])).length, 24 + 21 + 23)
  t.ok(records.complete)
  t.equal(records.push(Buffer.alloc(100)).length, 0, 'no bytes after the limit')
})

t.test('rejects bytes that are not pcap', async t => {
  const pcapng = Buffer.from('0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff', 'hex')
  t.throws(() => new PcapRecords().push(pcapng), {
    code: 'capture-not-recognised',
    message: /starts with 0a0d0d0a/,
    remedy: /editcap/
  })
  const corrupt = capture('d4c3b2a1', [5])
  corrupt.writeUInt32LE(0xffffffff, 24 + 8)
  t.throws(() => new PcapRecords().push(corrupt), { code: 'capture-not-recognised', message: /4294967295 bytes/ })
})
