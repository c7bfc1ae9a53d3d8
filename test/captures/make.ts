// Writes the golden captures that are built byte by byte, and the records beside all golden captures.
//
// Run by hand after a change that is meant: node dist/test/captures/make.js. The records are then to be
// compared with tshark: npm run bench:parity -- test/captures/*.pcap*
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { recordWriter } from '../../src/features/record-writer.js'
import { readRecords } from '../../src/join/capture-records.js'
import { CRAFTED } from './crafted.js'

const CAPTURES = new URL('../../../test/captures/', import.meta.url)

for (const [name, capture] of Object.entries(CRAFTED)) {
  // The header of gzip holds no time, so the same bytes come out every time.
  writeFileSync(new URL(name, CAPTURES), name.endsWith('.gz') ? gzipSync(capture()) : capture())
}
for (const name of readdirSync(CAPTURES)) {
  if (!/\.(pcap|pcapng)(\.gz)?$/.test(name)) continue
  const writer = recordWriter('ndjson', false)
  let lines = ''
  for await (const records of readRecords(chunks(readFileSync(new URL(name, CAPTURES))))) {
    for (const record of records) lines += writer.line(record, name)
  }
  writeFileSync(new URL(`${name}.ndjson`, CAPTURES), lines)
}

async function* chunks(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}
