// Compares `artemis extract` with tshark, all 31 columns, frame by frame, on any captures.
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { DEFAULT_MQTT_PORTS } from '../../src/join/capture-records.js'
import { ReferenceColumns, differences, textOf } from './columns.js'
import { EXCEPTIONS, exceptionOf } from './exceptions.js'
import type { DifferingFrame } from './exceptions.js'
import { ownRecords } from './own.js'
import type { OwnRecord } from './own.js'
import { referenceFrames, tsharkVersion } from './tshark.js'

/** What came out for one capture. */
interface Result {
  file: string
  frames: number
  mqtt: number
  /** Unexplained differences, by column or kind. */
  differences: Map<string, number>
  /** Frames explained by a listed exception, by its name. */
  exceptions: Map<string, number>
}

const USAGE = 'npm run bench:parity -- [--mqtt-port 1883,8883] [--show N] FILE...\n'

async function main (): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'mqtt-port': { type: 'string' }, show: { type: 'string', default: '0' } }
  })
  const version = tsharkVersion()
  if (version === null || positionals.length === 0) {
    process.stderr.write(version === null ? 'tshark is needed and was not found\n' : USAGE)
    process.exitCode = 1
    return
  }
  const ports = values['mqtt-port']?.split(',').map(Number) ?? DEFAULT_MQTT_PORTS
  console.log(`${version}\n`)
  const results: Result[] = []
  for (const file of positionals) results.push(await compare(file, ports, Number(values.show)))
  printTable(results)
  if (results.some(result => result.differences.size > 0)) process.exitCode = 1
}

async function compare (file: string, ports: readonly number[], show: number): Promise<Result> {
  const result: Result = { file, frames: 0, mqtt: 0, differences: new Map(), exceptions: new Map() }
  const differing: DifferingFrame[] = []
  const columns = new ReferenceColumns()
  const records = soundRecords(file, ports)
  let record = await records.next()
  /** Our record of frame `number`; those before it are ours alone. */
  const take = async (number: number): Promise<OwnRecord | null> => {
    for (; record.done !== true && record.value.frame <= number; record = await records.next()) {
      if (record.value.frame === number) return record.value
      count(result.differences, 'a record that tshark has not')
    }
    return null
  }
  for await (const reference of referenceFrames(file, ports)) {
    const own = await take(reference.number)
    if (own !== null) record = await records.next()
    const expected = columns.of(reference)
    result.frames++
    if (reference.hasMqtt) result.mqtt++
    const names = own === null ? [] : differences(own.values, expected)
    if (own === null || names.length > 0) differing.push({ reference, own, expected, columns: names })
  }
  await take(Infinity)
  judge(differing, result, show)
  return result
}

/** Sorts differences into listed exceptions and others; only now is known what befell each stream. */
function judge (differing: readonly DifferingFrame[], result: Result, show: number): void {
  let shown = 0
  for (const frame of differing) {
    const exception = exceptionOf(frame)
    if (exception !== null) {
      count(result.exceptions, exception.name)
      continue
    }
    if (frame.own === null) count(result.differences, 'a record that only tshark has')
    for (const name of frame.columns) count(result.differences, name)
    if (shown++ < show) describe(frame)
  }
}

async function * soundRecords (file: string, ports: readonly number[]): AsyncGenerator<OwnRecord> {
  try {
    yield * ownRecords(file, ports)
  } catch (error) {
    process.stderr.write(`${file}: ${error instanceof Error ? error.message : String(error)}\n`)
  }
}

function count (counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

function describe ({ reference, own, expected, columns }: DifferingFrame): void {
  const parts = columns.map(name => `${name} ${clip(own === null ? '' : textOf(own.values[name]))} (tshark ${clip(expected.get(name) ?? '')})`)
  console.log(`frame ${reference.number}: ${own === null ? 'no record' : parts.join(', ')}`)
}

function clip (text: string): string {
  return text.length > 24 ? `${text.slice(0, 24)}...` : text || '-'
}

function printTable (results: readonly Result[]): void {
  console.log('| capture | frames | with MQTT | differences | listed exceptions |')
  console.log('|---|---:|---:|---|---|')
  for (const { file, frames, mqtt, differences, exceptions } of results) {
    console.log(`| ${basename(file)} | ${frames} | ${mqtt} | ${listed(differences)} | ${listed(exceptions)} |`)
  }
  const used = EXCEPTIONS.filter(({ name }) => results.some(({ exceptions }) => exceptions.has(name)))
  if (used.length > 0) console.log(`\n${used.map(({ name, reason }) => `- **${name}**: ${reason}`).join('\n')}`)
}

function listed (counts: ReadonlyMap<string, number>): string {
  return counts.size === 0 ? '0' : [...counts].map(([name, number]) => `${name}: ${number}`).join('; ')
}

await main()
