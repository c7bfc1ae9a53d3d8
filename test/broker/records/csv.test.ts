// CSV rows as in RFC 4180, in chunks of any size.

import t from 'tap'
import { readCsv } from '../../../broker/records/csv.js'

async function rows(...chunks: Uint8Array[]): Promise<{ line: number; fields: string[] }[]> {
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* chunks
  }
  const read = []
  for await (const portion of readCsv(source(), 'f.csv')) read.push(...portion)
  return read
}

t.test('parses fields, quotes and line ends, split at every byte', async t => {
  const text = Buffer.from('a,b\r\n"x, ""y""\nz",é\n,\n"",last')
  const expected = [
    { line: 1, fields: ['a', 'b'] },
    { line: 2, fields: ['x, "y"\nz', 'é'] },
    { line: 4, fields: ['', ''] },
    { line: 5, fields: ['', 'last'] }
  ]
  t.same(await rows(text), expected)
  for (let i = 0; i <= text.length; i++)
    t.same(await rows(text.subarray(0, i), text.subarray(i)), expected, `split at ${i}`)
  t.same(await rows(), [])
  t.same(await rows(Buffer.from('one\n')), [{ line: 1, fields: ['one'] }])
})

t.test('reports unmatched quotes with file and line', async t => {
  for (const [text, line] of [
    ['ok\na"b\n', 2],
    ['ok\nok\n"a"b\n', 3],
    ['"open\n\n', 1],
    ['a,"b" ,c\n', 1]
  ] as const) {
    await t.rejects(
      rows(Buffer.from(text)),
      { code: 'csv', message: new RegExp(`^f\\.csv:${line}: `), remedy: /quotes/ },
      JSON.stringify(text)
    )
  }
})

t.test('refuses an endless row before it fills the memory', async t => {
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) yield Buffer.alloc(2 ** 20, 'x')
  }
  await t.rejects(readCsv(endless(), 'f.csv').next(), { code: 'csv', message: /longer than/ })
  const [{ fields }] = await rows(Buffer.from(`${','.repeat(1e6)}\n`))
  t.ok(fields.length <= 256, 'the number of fields is limited')
})
