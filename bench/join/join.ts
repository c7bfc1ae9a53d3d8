// npm run bench:join: compares the join under load with a parallel full capture.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { networkMissing } from '../lab/network.js'
import { CARRIERS, type Carrier } from './carriers.js'
import { runJoin, type RunResult } from './run.js'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    rate: { type: 'string', default: '5000' },
    carriers: { type: 'string', default: CARRIERS.join(',') },
    links: { type: 'string', default: 'good,bad' },
    taps: { type: 'string', default: 'before,middle' },
    'snap-length': { type: 'string', default: '66' },
    ipv6: { type: 'boolean', default: false },
    json: { type: 'string' },
    keep: { type: 'string' }
  }
})

/** Impairment of the bad link, each way. */
const BAD = { loss: 0.02, duplication: 0.02, reordering: 0.05 }

interface Row {
  carrier: Carrier
  link: string
  tap: string
  ipv6: boolean
  result: RunResult
}

const missing = networkMissing()
if (missing !== false) throw new Error(missing)
const rows: Row[] = []
console.log(
  '| carrier | link | tap | messages | frames | MQTT frames | packets, most in one frame | right | wrong | none | fallback | join counters |'
)
console.log('|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|')
for (const carrier of values.carriers.split(',') as Carrier[]) {
  for (const link of values.links.split(',')) {
    for (const tap of values.taps.split(',')) {
      if (values.keep !== undefined) mkdirSync(values.keep, { recursive: true })
      const directory = values.keep ?? mkdtempSync(join(tmpdir(), 'artemis-join-'))
      try {
        const result = await runJoin({
          carrier,
          ...(link === 'bad' && { link: BAD }),
          interrupt: tap === 'middle',
          ipv6: values.ipv6,
          snapLength: Number(values['snap-length']),
          rate: Number(values.rate),
          seconds: Number(values.seconds),
          publishers: 50,
          subscribers: 10,
          seed: 1,
          directory
        })
        rows.push({ carrier, link, tap, ipv6: values.ipv6, result })
        console.log(line(rows[rows.length - 1]))
        for (const example of result.examples) console.error(example)
      } finally {
        if (values.keep === undefined) rmSync(directory, { recursive: true, force: true })
      }
      if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 1)}\n`)
    }
  }
}

function line({ carrier, link, tap, result }: Row): string {
  const counters = Object.entries(result.join)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
  const { load, frames, withMqtt, packets, mostInOne, right, wrong, blank, absent } = result
  return `| ${[
    carrier,
    link,
    tap,
    `${load.published} in, ${load.received} out`,
    frames,
    withMqtt,
    `${packets}, ${mostInOne}`,
    right,
    wrong,
    blank,
    absent,
    counters
  ].join(' | ')} |`
}
