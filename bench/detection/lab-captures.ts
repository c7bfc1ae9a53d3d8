// The lab captures that the figures use: stored in a folder, and made if missing.

import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Presets, SingleBar } from 'cli-progress'
import { OperatorError } from '../../src/errors.js'
import type { Attack } from '../lab/attacker.js'
import { ATTACKS, findAttack } from '../lab/attacks/catalog.js'
import { makeCapture, type CaptureFigures } from '../lab/capture.js'
import { labMissing } from '../lab/requirements.js'

/** Default folder of the captures; ignored by Git. */
export const CAPTURES_FOLDER = '.cache/lab'

/** A requested capture. */
export interface CaptureRequest {
  /** Base name of its files. */
  name: string
  attack: Attack | null
  seed: number
  minutes: number
}

/** Figures of a stored capture, as the lab writes them. */
export type StoredCapture = CaptureFigures

/** Long enough to learn usual behaviour: the windows of the context columns span a minute. */
const BENIGN_MINUTES = 5
const ATTACK_MINUTES = 1.5
/** Time beyond the length of a capture, until one has been measured. */
const OVERHEAD_SECONDS = 12
const MAX_TRIES = 2

/** Returns benign captures of several households. */
export function benignCaptures(seeds: readonly number[]): CaptureRequest[] {
  return seeds.map(seed => ({ name: `benign-s${seed}`, attack: null, seed, minutes: BENIGN_MINUTES }))
}

/**
 * Returns captures of attacks on one household.
 *
 * @throws OperatorError for an unknown attack
 */
export function attackCaptures(names: readonly string[], seed: number): CaptureRequest[] {
  return names.map(name => {
    const attack = findAttack(name)
    if (attack === undefined)
      throw new OperatorError(
        'bench-attack',
        `Unknown attack "${name}": use one of ${ATTACKS.map(({ name }) => name).join(', ')}.`
      )
    return { name: `${name}-s${seed}`, attack, seed, minutes: ATTACK_MINUTES }
  })
}

/** Returns the figures of a stored capture; undefined if it is missing or incomplete. */
export async function storedCapture(folder: string, name: string): Promise<StoredCapture | undefined> {
  const path = join(folder, `${name}.json`)
  try {
    const figures = JSON.parse(await readFile(path, 'utf8')) as Omit<StoredCapture, 'made'> & { made?: string }
    // Captures of earlier versions of the lab do not record the date.
    return { ...figures, made: figures.made ?? (await stat(path)).mtime.toISOString() }
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Makes missing captures one after the other and reports progress. Ctrl-C keeps finished captures and removes the
 * unfinished one.
 *
 * @returns the figures of all captures, in the requested order
 * @throws OperatorError if the lab cannot run here; the error of a capture that fails twice
 */
export async function ensureCaptures(folder: string, wanted: readonly CaptureRequest[]): Promise<StoredCapture[]> {
  const print = (text: string): void => {
    process.stderr.write(`${text}\n`)
  }
  const missing: CaptureRequest[] = []
  for (const capture of wanted) if ((await storedCapture(folder, capture.name)) === undefined) missing.push(capture)
  if (missing.length > 0) {
    const reason = labMissing()
    if (reason !== false)
      throw new OperatorError(
        'bench-captures',
        `Cannot make ${missing.length} captures that are missing in ${folder}: ${reason}`
      )
    await makeAll(folder, missing, wanted.length - missing.length, print)
  }
  const kept = await Promise.all(wanted.map(async ({ name }) => await storedCapture(folder, name)))
  return kept.filter(capture => capture !== undefined)
}

async function makeAll(
  folder: string,
  missing: readonly CaptureRequest[],
  existing: number,
  print: (text: string) => void
): Promise<void> {
  const stopping = new AbortController()
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  let made = 0
  const onSignal = (): void => {
    stopping.abort(
      new OperatorError(
        'interrupted',
        `Interrupted: ${existing + made} of ${existing + missing.length} captures are in ${folder}. Run again to make the rest.`
      )
    )
  }
  for (const signal of signals) process.once(signal, onSignal)
  try {
    let overhead = OVERHEAD_SECONDS
    for (const [i, capture] of missing.entries()) {
      stopping.signal.throwIfAborted()
      const seconds = missing.slice(i).reduce((sum, { minutes }) => sum + 60 * minutes + overhead, 0)
      const place = `${existing + i + 1} of ${existing + missing.length}, about ${Math.ceil(seconds / 60)} min left: ${capture.name}`
      const { took } = await make(folder, capture, place, stopping.signal, print)
      made++
      overhead = took - 60 * capture.minutes
    }
  } finally {
    for (const signal of signals) process.off(signal, onSignal)
  }
}

async function make(
  folder: string,
  { name, attack, seed, minutes }: CaptureRequest,
  place: string,
  signal: AbortSignal,
  print: (text: string) => void
): Promise<StoredCapture> {
  for (let tries = 1; ; tries++) {
    const bar = process.stderr.isTTY
      ? new SingleBar({ stream: process.stderr, format: `${place} {bar} {percentage} %` }, Presets.shades_classic)
      : null
    if (bar === null) print(place)
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
      if (tries === MAX_TRIES) throw error
      bar?.stop()
      print(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\nRetrying.`)
    } finally {
      bar?.stop()
    }
  }
}
