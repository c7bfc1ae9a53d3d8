// What bench:detection found, as its JSON file holds it.

import { readFile, writeFile } from 'node:fs/promises'
import type { AttackFigures } from './figures.js'
import type { KeptCapture } from './lab-captures.js'
import type { PublicFigures } from './public-captures.js'
import type { Run } from './run.js'

/** The figures of captures of others, and of which run they are. */
export interface PublicResults {
  run: Run
  figures: PublicFigures[]
}

/** Everything. */
export interface DetectionResults {
  run: Run
  model: {
    detector: string
    features: string
    parameters: Readonly<Record<string, number>>
    /** SHA-256 of the rows that its expert on packets was learnt from. */
    trainingDigest: string
    /** Benign captures learnt from, records there and records taken. */
    captures: string[]
    records: number
    taken: number
    seconds: number
  }
  captures: KeptCapture[]
  attacks: AttackFigures[]
  mqttset?: PublicResults
  dad?: PublicResults
}

/** What an earlier run wrote; undefined where there is nothing. Figures that could not be told are NaN again. */
export async function readResults(path: string): Promise<DetectionResults | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8'), (name, value: unknown) =>
      (name === 'auc' || name === 'recall') && value === null ? NaN : value
    ) as DetectionResults
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Writes figures, six digits each. */
export async function writeResults(path: string, results: object): Promise<void> {
  await writeFile(
    path,
    `${JSON.stringify(results, (_name, value: unknown) => (typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value), 1)}\n`
  )
}
