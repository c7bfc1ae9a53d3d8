// npm run lab: makes labelled captures of a household under attack.

import { parseArgs } from 'node:util'
import { Presets, SingleBar } from 'cli-progress'
import type { Attack } from './attacker.js'
import { ATTACKS, findAttack } from './attacks/catalog.js'
import { makeCapture, type CaptureFigures } from './capture.js'
import { DEVICE_KINDS } from './devices/catalog.js'
import { labMissing } from './requirements.js'

const USAGE = `npm run lab -- --attack NAME[,NAME...] [--minutes N] [--seed S[,S...]] [--out DIR] [--records]

  --attack   names from --list, all, or none for benign traffic only; one capture per name
  --minutes  length of each capture, from 0.2 to 60 (default: 1.5)
  --seed     whole numbers; one capture per seed (default: 1)
  --out      folder for NAME-sSEED.pcap, .labels.csv, .by-address.csv, .newcomers.csv, .messages.csv, .parties.csv and .json (default: lab)
  --records  also write .records.ndjson, the record log of the broker (runs its tap, too)
  --list     list devices and attacks`

const MAX_MINUTES = 60
const MIN_MINUTES = 0.2

class UsageError extends Error {}

const print = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

function list(): void {
  const lines = [
    `Devices (${DEVICE_KINDS.reduce((sum, { residents }) => sum + residents, 0)} of ${DEVICE_KINDS.length} kinds):`,
    ...DEVICE_KINDS.map(
      ({ name, residents, summary }) => `  ${name.padEnd(18)} ${String(residents).padStart(2)}  ${summary}`
    ),
    '',
    `Attacks (${ATTACKS.length}):`,
    ...ATTACKS.map(({ name, summary }) => `  ${name.padEnd(18)} ${summary}`)
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}

function attacksOf(text: string): (Attack | null)[] {
  return text.split(',').flatMap((name): readonly (Attack | null)[] => {
    if (name === 'none') return [null]
    if (name === 'all') return ATTACKS
    const attack = findAttack(name)
    if (attack === undefined) throw new UsageError(`Unknown attack "${name}". Run with --list to see all attacks.`)
    return [attack]
  })
}

function numberOf(name: string, text: string, low: number, high: number): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= low && value <= high))
    throw new UsageError(`Invalid --${name} "${text}": use a number from ${low} to ${high}.`)
  return value
}

function seedsOf(text: string): number[] {
  return text.split(',').map(one => {
    const seed = numberOf('seed', one, 0, 2 ** 32 - 1)
    if (!Number.isInteger(seed)) throw new UsageError(`Invalid --seed "${one}": use a whole number.`)
    return seed
  })
}

function checkMachine(): void {
  const reason = labMissing()
  if (reason !== false) throw new UsageError(reason)
}

function describe({
  name,
  frames,
  attack,
  forwarded,
  answers,
  taken,
  newcomer,
  devices,
  newcomers,
  attackers,
  dropped,
  messages,
  attackMessages,
  took
}: CaptureFigures): string {
  return (
    `${name}: ${frames} frames, ${attack} attack frames (including ${forwarded} forwarded to benign clients, ${answers} acknowledging these, ${taken} of clients whose id was taken over), ${newcomer} newcomer frames; ` +
    `${devices} devices, ${newcomers} newcomers, ${attackers} attackers; ${messages} + ${attackMessages} messages; ${dropped} frames dropped; took ${took} s`
  )
}

async function run(): Promise<void> {
  const { values } = parseArgs({
    options: {
      attack: { type: 'string', multiple: true },
      minutes: { type: 'string', default: '1.5' },
      seed: { type: 'string', default: '1' },
      out: { type: 'string', default: 'lab' },
      records: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.list) {
    list()
    return
  }
  if (values.help || values.attack === undefined) {
    print(USAGE)
    process.exitCode = values.help ? 0 : 1
    return
  }
  const attacks = values.attack.flatMap(attacksOf)
  const seeds = seedsOf(values.seed)
  const durationMs = numberOf('minutes', values.minutes, MIN_MINUTES, MAX_MINUTES) * 60_000
  checkMachine()
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      stopping.abort(new UsageError('Interrupted: the unfinished capture was removed.'))
    })
  for (const seed of seeds) {
    for (const attack of attacks) {
      const name = `${attack?.name ?? 'benign'}-s${seed}`
      const bar = process.stderr.isTTY
        ? new SingleBar({ stream: process.stderr, format: `${name} {bar} {percentage} %` }, Presets.shades_classic)
        : null
      bar?.start(100, 0)
      try {
        const figures = await makeCapture({
          name,
          attack,
          seed,
          durationMs,
          out: values.out,
          records: values.records,
          signal: stopping.signal,
          onProgress: share => {
            bar?.update(Math.round(100 * share))
          }
        })
        bar?.stop()
        print(describe(figures))
      } catch (error) {
        bar?.stop()
        if (stopping.signal.aborted) throw stopping.signal.reason
        // Continue with the other captures.
        print(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
        process.exitCode = 2
      }
    }
  }
}

try {
  await run()
} catch (error) {
  const isUsageError =
    error instanceof UsageError ||
    (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))
  print(isUsageError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error))
  process.exitCode = isUsageError ? 1 : 2
}
