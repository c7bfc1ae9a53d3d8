// Golden captures: each gives exactly the expected records, for any chunk size.
import { readFileSync, readdirSync } from 'node:fs'
import t from 'tap'
import { recordWriter } from '../../src/features/record-writer.js'
import { readRecords } from '../../src/join/capture-records.js'

// Tests run compiled, two folders deeper than their sources.
const CAPTURES = new URL('../../../test/captures/', import.meta.url)
const names = readdirSync(CAPTURES)
  .filter(name => name.endsWith('.ndjson'))
  .map(name => name.slice(0, -'.ndjson'.length))

async function* chunks(capture: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < capture.length; at += size) yield capture.subarray(at, at + size)
}

async function linesOf(capture: Buffer, size: number): Promise<string[]> {
  const writer = recordWriter('ndjson', false)
  const lines: string[] = []
  for await (const records of readRecords(chunks(capture, size)))
    lines.push(...records.map(record => writer.line(record, '')))
  return lines
}

t.ok(names.length >= 14)
for (const name of names) {
  t.test(name, async t => {
    const capture = readFileSync(new URL(name, CAPTURES))
    const expected = readFileSync(new URL(`${name}.ndjson`, CAPTURES), 'utf8').split(/(?<=\n)/)
    for (const size of [capture.length, 1000, 1])
      t.same(await linesOf(capture, size), expected, `chunks of ${size} bytes`)
  })
}
