// npm run bench:durability: kills the broker under load and counts the acknowledged messages that are gone after the restart.

import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startProgram, startSmall, type Broker } from './brokers.js'
import { killAgainAndAgain } from './kills.js'

const { kills } = parseArgs({ options: { kills: { type: 'string', default: '20' } } }).values
const plan = { kills: Number(kills), publishers: 8, window: 50, longestMs: 1_500 }

const variants: [string, (folder: string) => Promise<Broker>][] = [
  ['the program', startProgram],
  ['store and Aedes alone, acknowledgements held', folder => startSmall(folder, 'held')],
  ['store and Aedes alone, acknowledgements as Aedes sends them', folder => startSmall(folder, 'direct')]
]

console.log('| broker | kills | acknowledged | of them lost | kept without acknowledgement |')
console.log('|---|---:|---:|---:|---:|')
for (const [name, start] of variants) {
  const folder = mkdtempSync(join(tmpdir(), 'artemis-durability-'))
  try {
    const { kills, acknowledged, lost, unacknowledged } = await killAgainAndAgain(() => start(folder), plan, ({ kills, lost }) => {
      process.stderr.write(`${name}: ${kills} of ${plan.kills}, ${lost} lost\n`)
    })
    console.log(`| ${name} | ${kills} | ${acknowledged} | ${lost} | ${unacknowledged} |`)
    if (name === variants[0][0] && lost > 0) process.exitCode = 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
console.log(`\nNode ${process.version.slice(1)}, load ${loadavg().map(value => value.toFixed(2)).join(', ')}.`)
