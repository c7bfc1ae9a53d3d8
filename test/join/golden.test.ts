// Golden captures: each gives exactly the records that stand beside it, in any portions.
import { readFileSync, readdirSync } from 'node:fs'
import t from 'tap'
import { recordWriter } from '../../src/features/record-writer.js'
import { CaptureRecords } from '../../src/join/capture-records.js'

// Tests run compiled, two folders deeper than their sources.
const CAPTURES = new URL('../../../test/captures/', import.meta.url)
const names = readdirSync(CAPTURES).filter(name => name.endsWith('.ndjson')).map(name => name.slice(0, -'.ndjson'.length))

function records (capture: Buffer, portion: number): string[] {
  const writer = recordWriter('ndjson', false)
  const lines: string[] = []
  const decoder = new CaptureRecords(record => { lines.push(writer.line(record, '')) })
  for (let at = 0; at < capture.length; at += portion) decoder.push(capture.subarray(at, at + portion))
  decoder.end()
  return lines
}

t.ok(names.length >= 3)
for (const name of names) {
  t.test(name, async t => {
    const capture = readFileSync(new URL(name, CAPTURES))
    const expected = readFileSync(new URL(`${name}.ndjson`, CAPTURES), 'utf8').split(/(?<=\n)/)
    for (const portion of [capture.length, 1000, 1]) t.same(records(capture, portion), expected, `${portion} bytes at a time`)
  })
}
