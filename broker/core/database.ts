// Opens the database in the data folder, with an error message for each cause of failure.

import { existsSync, readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { Level } from 'level'
import { MemoryLevel } from 'memory-level'
import { OperatorError } from '../../src/errors.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'

const RUN_KEY = 'artemis:run'
const RUN_DIGITS = 10
/** LevelDB's file names, except `CURRENT`, which names the current manifest. */
const DATABASE_FILE = /^(MANIFEST-\d+|\d+\.(ldb|sst|log))$/

/**
 * Opens the database in a data folder; creates the folder if it is missing.
 *
 * @param isPersistent false: in memory, lost at a restart
 * @throws OperatorError `data-folder`, `data-in-use` or `data-damaged`
 */
export async function openDatabase(folder: string, isPersistent: boolean): Promise<Level> {
  const shown = printable(folder, MAX_PATH_LENGTH)
  try {
    // Messages are private: no access for other users.
    await mkdir(folder, { mode: 0o700 })
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST')
      throw new OperatorError(
        'data-folder',
        `Cannot create the data folder ${shown}: ${codeOf(cause)}.`,
        'Choose a folder that this user can write to: --data DIR, or data in artemis.yaml.',
        { cause }
      )
  }
  // The folder is needed in any case: models are written to it.
  if (!isPersistent) return new MemoryLevel() as unknown as Level
  const store = path.join(folder, 'store')
  // Otherwise LevelDB would create an empty database over the old files.
  if (lacksCurrent(store)) throw damaged(shown, 'the file CURRENT is missing')
  const db = new Level(store)
  try {
    await db.open()
    return db
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    if (codeOf(cause) === 'LEVEL_LOCKED') {
      throw new OperatorError(
        'data-in-use',
        `The data folder ${shown} is in use by another broker.`,
        'Stop that broker, or choose another folder: --data DIR.',
        { cause }
      )
    }
    if (isCorruption(cause)) throw damaged(shown, String(cause), cause)
    throw new OperatorError(
      'data-folder',
      `Cannot open the data folder ${shown}: ${printable(String(cause ?? error))}`,
      'Check that this user can write to it and that the disk has free space.',
      { cause }
    )
  }
}

/** Converts a corruption error to an OperatorError; returns other errors unchanged. */
export function readingFailed(folder: string, error: unknown): unknown {
  return isCorruption(error) ? damaged(printable(folder, MAX_PATH_LENGTH), String(error), error) : error
}

/**
 * Returns the broker's id for this run. Each run has a new id, which tells leftover wills of earlier runs apart. It is
 * a counter, so it is unique even if the clock jumps back.
 */
export async function nextBrokerId(db: Level): Promise<string> {
  const run = Number(((await db.get(RUN_KEY)) as string | undefined) ?? 0) + 1
  await db.put(RUN_KEY, String(run), { sync: true })
  return `artemis-${String(run).padStart(RUN_DIGITS, '0')}`
}

function lacksCurrent(store: string): boolean {
  return (
    existsSync(store) &&
    !existsSync(path.join(store, 'CURRENT')) &&
    readdirSync(store).some(name => DATABASE_FILE.test(name))
  )
}

function damaged(shown: string, reason: string, cause?: unknown): OperatorError {
  return new OperatorError(
    'data-damaged',
    `The data folder ${shown} is damaged: ${printable(reason)}`,
    'Restore it from a backup, or move its subfolder "store" away and restart. This loses retained messages and sessions.',
    { cause }
  )
}

function isCorruption(error: unknown): boolean {
  return (
    codeOf(error) === 'LEVEL_CORRUPTION' ||
    (error instanceof Error && /corruption|checksum mismatch|bad block|not an sstable/i.test(error.message))
  )
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
