// npm run bench:parity: compares `artemis extract` with tshark, all 31 columns, frame by frame.
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { DEFAULT_MQTT_PORTS } from '../../src/join/capture-records.js'
import { compareWithTshark } from './compare.js'
import type { ComparisonResult } from './compare.js'
import { EXCEPTIONS } from './exceptions.js'
import { tsharkVersion } from './tshark.js'

const USAGE = 'npm run bench:parity -- [--mqtt-port 1883,8883] [--show N] FILE...\n'

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'mqtt-port': { type: 'string' }, show: { type: 'string', default: '0' } }
  })
  const version = tsharkVersion()
  if (version === null || positionals.length === 0) {
    process.stderr.write(version === null ? 'tshark not found. Install tshark.\n' : USAGE)
    process.exitCode = 1
    return
  }
  const ports = values['mqtt-port']?.split(',').map(Number) ?? DEFAULT_MQTT_PORTS
  console.log(`${version}\n`)
  const results: ComparisonResult[] = []
  for (const file of positionals) {
    const result = await compareWithTshark(file, ports)
    for (const line of result.examples.slice(0, Number(values.show))) console.log(line)
    results.push(result)
  }
  printTable(results)
  if (results.some(result => result.differences.size > 0)) process.exitCode = 1
}

function printTable(results: readonly ComparisonResult[]): void {
  console.log('| capture | frames | with MQTT | differences | listed exceptions |')
  console.log('|---|---:|---:|---|---|')
  for (const { file, frames, mqtt, differences, exceptions } of results) {
    console.log(`| ${basename(file)} | ${frames} | ${mqtt} | ${listed(differences)} | ${listed(exceptions)} |`)
  }
  const used = EXCEPTIONS.filter(({ name }) => results.some(({ exceptions }) => exceptions.has(name)))
  if (used.length > 0) console.log(`\n${used.map(({ name, reason }) => `- **${name}**: ${reason}`).join('\n')}`)
}

function listed(counts: ReadonlyMap<string, number>): string {
  return counts.size === 0 ? '0' : [...counts].map(([name, number]) => `${name}: ${number}`).join('; ')
}

await main()
