// gzip captures: detected by content, complete or truncated.
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { gunzipped } from '../../src/decode/gunzip.js'

// Incompressible bytes, so that half of the file is half of the content.
let state = 1
const content = Buffer.from(
  Array.from({ length: 100_000 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state >>> 26
  })
)

async function* portions(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of gunzipped(source)) parts.push(part)
  return Buffer.concat(parts)
}

t.test('passes uncompressed bytes through', async t => {
  for (const size of [1, 1000, 200_000])
    t.ok((await collect(portions(content.subarray(0, 5000), size))).equals(content.subarray(0, 5000)))
  t.equal((await collect(portions(Buffer.alloc(0), 1))).length, 0)
  t.equal((await collect(portions(Buffer.from([0x1f]), 1))).length, 1)
})

t.test('decompresses gzip with one or several members', async t => {
  for (const size of [1, 1000, 200_000]) t.ok((await collect(portions(gzipSync(content), size))).equals(content))
  const members = Buffer.concat([gzipSync(content.subarray(0, 400)), gzipSync(content.subarray(400))])
  t.ok((await collect(portions(members, 999))).equals(content))
})

t.test('decompresses the available part of a truncated file', async t => {
  const packed = gzipSync(content)
  const result = await collect(portions(packed.subarray(0, packed.length >> 1), 1000))
  t.ok(result.length > 20_000)
  t.ok(result.equals(content.subarray(0, result.length)))
})

t.test('rejects invalid compressed data', async t => {
  const packed = gzipSync(content)
  packed.fill(0xff, 2000, 2100)
  await t.rejects(collect(portions(packed, 1000)), { name: 'OperatorError', code: 'capture-corrupt', remedy: /./ })
})

t.test('propagates errors of the source', async t => {
  async function* failing(): AsyncGenerator<Buffer> {
    yield gzipSync(content).subarray(0, 100)
    throw new Error('disk failure')
  }
  await t.rejects(collect(failing()), /disk failure/)
})

t.test('closes the source when the consumer stops reading', async t => {
  for (const bytes of [content, gzipSync(content)]) {
    let closed = false as boolean
    async function* source(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield bytes
      } finally {
        closed = true
      }
    }
    for await (const part of gunzipped(source())) if (part.length > 0) break
    for (let i = 0; i < 100 && !closed; i++) await new Promise(resolve => setImmediate(resolve))
    t.ok(closed)
  }
})
