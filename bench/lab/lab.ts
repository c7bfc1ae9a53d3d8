// npm run lab: captures of a household under attack, labelled by construction.

import { parseArgs } from 'node:util'
import { Presets, SingleBar } from 'cli-progress'
import type { Attack } from './attacker.js'
import { ATTACKS, findAttack } from './attacks/catalog.js'
import { makeCapture, type CaptureFigures } from './capture.js'
import { DEVICE_KINDS } from './devices/catalog.js'
import { labMissing } from './requirements.js'

const USAGE = `npm run lab -- --attack NAME[,NAME...] [--minutes N] [--seed S[,S...]] [--out DIR] [--records]

  --attack   names from --list, all, or none for benign traffic only; one capture for each
  --minutes  length of each capture, from 0.2 to 60; 1.5 unless told
  --seed     whole numbers; one capture for each; 1 unless told
  --out      where NAME-sSEED.pcap, .labels.csv, .by-address.csv, .newcomers.csv, .messages.csv, .parties.csv and .json go; lab unless told
  --records  also .records.ndjson: what the broker itself recorded (its own tap runs along)
  --list     the devices and the attacks`

const LONGEST_MINUTES = 60
const SHORTEST_MINUTES = 0.2

class Mistake extends Error {}

const say = (text: string): void => {
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
    if (attack === undefined) throw new Mistake(`there is no attack called "${name}"; --list shows them`)
    return [attack]
  })
}

function numberOf(name: string, text: string, low: number, high: number): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= low && value <= high))
    throw new Mistake(`--${name} is a number from ${low} to ${high}, not "${text}"`)
  return value
}

function seedsOf(text: string): number[] {
  return text.split(',').map(one => {
    const seed = numberOf('seed', one, 0, 2 ** 32 - 1)
    if (!Number.isInteger(seed)) throw new Mistake(`--seed is a whole number, not "${one}"`)
    return seed
  })
}

function checkMachine(): void {
  const obstacle = labMissing()
  if (obstacle !== false) throw new Mistake(obstacle)
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
    `${name}: ${frames} frames, ${attack} of the attack (of them ${forwarded} forwarded to benign clients and ${answers} that acknowledge these, ${taken} of clients whose id was taken), ${newcomer} of newcomers; ` +
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
    say(USAGE)
    process.exitCode = values.help ? 0 : 1
    return
  }
  const attacks = values.attack.flatMap(attacksOf)
  const seeds = seedsOf(values.seed)
  const durationMs = numberOf('minutes', values.minutes, SHORTEST_MINUTES, LONGEST_MINUTES) * 60_000
  checkMachine()
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      stopping.abort(new Mistake('interrupted: nothing of the capture that ran is kept'))
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
        say(describe(figures))
      } catch (error) {
        bar?.stop()
        if (stopping.signal.aborted) throw stopping.signal.reason
        // The others can still be made.
        say(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
        process.exitCode = 2
      }
    }
  }
}

try {
  await run()
} catch (error) {
  const isMistake =
    error instanceof Mistake ||
    (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))
  say(isMistake ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error))
  process.exitCode = isMistake ? 1 : 2
}
