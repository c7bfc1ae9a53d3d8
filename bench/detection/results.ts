// Results of bench:detection as stored in JSON.

import { readFile, writeFile } from 'node:fs/promises'
import type { AttackFigures } from './figures.js'
import type { StoredCapture } from './lab-captures.js'
import type { PublicFigures } from './public-captures.js'
import type { Run } from './run.js'

/** Figures of public captures, and the run that produced them. */
export interface PublicResults {
  run: Run
  figures: PublicFigures[]
}

/** All results. */
export interface DetectionResults {
  run: Run
  model: {
    detector: string
    features: string
    parameters: Readonly<Record<string, number>>
    /** SHA-256 of the training rows of its packet expert. */
    trainingDigest: string
    /** Training captures, their records, and the records used. */
    captures: string[]
    records: number
    taken: number
    seconds: number
  }
  captures: StoredCapture[]
  attacks: AttackFigures[]
  mqttset?: PublicResults
  dad?: PublicResults
}

/** Reads the results of an earlier run; undefined if there are none. Null figures become NaN. */
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

/** Writes results with six significant digits. */
export async function writeResults(path: string, results: object): Promise<void> {
  await writeFile(
    path,
    `${JSON.stringify(results, (_name, value: unknown) => (typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value), 1)}\n`
  )
}
