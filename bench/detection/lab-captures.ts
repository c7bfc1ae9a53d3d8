// The captures of the lab that figures are made from: kept in a folder, and made where one is missing.

import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Presets, SingleBar } from 'cli-progress'
import { OperatorError } from '../../src/errors.js'
import type { Attack } from '../lab/attacker.js'
import { ATTACKS, findAttack } from '../lab/attacks/catalog.js'
import { makeCapture, type CaptureFigures } from '../lab/capture.js'
import { labMissing } from '../lab/requirements.js'

/** Where captures are kept unless told otherwise. Git does not see it. */
export const CAPTURES_FOLDER = '.cache/lab'

/** A capture that is to be there. */
export interface WantedCapture {
  /** What its files are called. */
  name: string
  attack: Attack | null
  seed: number
  minutes: number
}

/** How a capture came about, as the lab writes it down. */
export type KeptCapture = CaptureFigures

/** Long enough to learn what is usual; the windows of the context columns reach back for a minute. */
const BENIGN_MINUTES = 5
const ATTACK_MINUTES = 1.5
/** What a capture takes beyond its length, until one has shown it. */
const OVERHEAD_SECONDS = 12
const MOST_TRIES = 2

/** Benign captures of several households. */
export function benignCaptures(seeds: readonly number[]): WantedCapture[] {
  return seeds.map(seed => ({ name: `benign-s${seed}`, attack: null, seed, minutes: BENIGN_MINUTES }))
}

/**
 * Captures of attacks on one household.
 * @throws OperatorError where there is no such attack
 */
export function attackCaptures(names: readonly string[], seed: number): WantedCapture[] {
  return names.map(name => {
    const attack = findAttack(name)
    if (attack === undefined)
      throw new OperatorError(
        'bench-attack',
        `there is no attack called "${name}"; there are ${ATTACKS.map(({ name }) => name).join(', ')}`
      )
    return { name: `${name}-s${seed}`, attack, seed, minutes: ATTACK_MINUTES }
  })
}

/** How the capture of this name came about; undefined where it is not there, or not whole. */
export async function keptCapture(folder: string, name: string): Promise<KeptCapture | undefined> {
  const path = join(folder, `${name}.json`)
  try {
    const figures = JSON.parse(await readFile(path, 'utf8')) as Omit<KeptCapture, 'made'> & { made?: string }
    // Captures of an earlier lab do not say it themselves.
    return { ...figures, made: figures.made ?? (await stat(path)).mtime.toISOString() }
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Makes the captures that are not in the folder, one after the other, and tells how far it is. Ctrl-C
 * keeps what is finished and leaves nothing of the rest.
 *
 * @returns how all of them came about, in the order wanted
 * @throws OperatorError where the lab cannot run here; what a capture throws that fails twice
 */
export async function provideCaptures(folder: string, wanted: readonly WantedCapture[]): Promise<KeptCapture[]> {
  const say = (text: string): void => {
    process.stderr.write(`${text}\n`)
  }
  const missing: WantedCapture[] = []
  for (const capture of wanted) if ((await keptCapture(folder, capture.name)) === undefined) missing.push(capture)
  if (missing.length > 0) {
    const obstacle = labMissing()
    if (obstacle !== false)
      throw new OperatorError(
        'bench-captures',
        `${missing.length} captures are missing in ${folder}, and the lab cannot make them: ${obstacle}`
      )
    await makeAll(folder, missing, wanted.length - missing.length, say)
  }
  const kept = await Promise.all(wanted.map(async ({ name }) => await keptCapture(folder, name)))
  return kept.filter(capture => capture !== undefined)
}

async function makeAll(
  folder: string,
  missing: readonly WantedCapture[],
  there: number,
  say: (text: string) => void
): Promise<void> {
  const stopping = new AbortController()
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  let made = 0
  const onSignal = (): void => {
    stopping.abort(
      new OperatorError(
        'interrupted',
        `interrupted: ${there + made} of ${there + missing.length} captures are kept in ${folder}, and the next run goes on from there`
      )
    )
  }
  for (const signal of signals) process.once(signal, onSignal)
  try {
    let overhead = OVERHEAD_SECONDS
    for (const [i, capture] of missing.entries()) {
      stopping.signal.throwIfAborted()
      const seconds = missing.slice(i).reduce((sum, { minutes }) => sum + 60 * minutes + overhead, 0)
      const place = `${there + i + 1} of ${there + missing.length}, about ${Math.ceil(seconds / 60)} min left: ${capture.name}`
      const { took } = await make(folder, capture, place, stopping.signal, say)
      made++
      overhead = took - 60 * capture.minutes
    }
  } finally {
    for (const signal of signals) process.off(signal, onSignal)
  }
}

async function make(
  folder: string,
  { name, attack, seed, minutes }: WantedCapture,
  place: string,
  signal: AbortSignal,
  say: (text: string) => void
): Promise<KeptCapture> {
  for (let tries = 1; ; tries++) {
    const bar = process.stderr.isTTY
      ? new SingleBar({ stream: process.stderr, format: `${place} {bar} {percentage} %` }, Presets.shades_classic)
      : null
    if (bar === null) say(place)
    else bar.start(100, 0)
    try {
      return await makeCapture({
        name,
        attack,
        seed,
        durationMs: minutes * 60_000,
        out: folder,
        records: false,
        signal,
        onProgress: share => {
          bar?.update(Math.round(100 * share))
        }
      })
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (tries === MOST_TRIES) throw error
      bar?.stop()
      say(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\nonce more`)
    } finally {
      bar?.stop()
    }
  }
}
