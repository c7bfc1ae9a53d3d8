// Opens the database in the data folder, and says what is wrong where it cannot be opened.

import { existsSync, readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { Level } from 'level'
import { MemoryLevel } from 'memory-level'
import { OperatorError } from '../../src/errors.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'

const RUN_KEY = 'artemis:run'
const RUN_DIGITS = 10
/** What LevelDB's own files are called, apart from `CURRENT`, which names the one that lists them. */
const DATABASE_FILE = /^(MANIFEST-\d+|\d+\.(ldb|sst|log))$/

/**
 * Opens the database in a data folder, which is made if it is not there.
 *
 * @param isPersistent false keeps all of it in memory: it is lost with a restart
 * @throws OperatorError `data-folder`, `data-in-use` or `data-damaged`
 */
export async function openDatabase(folder: string, isPersistent: boolean): Promise<Level> {
  const shown = printable(folder, MAX_PATH_LENGTH)
  try {
    // What clients say is nobody else's business.
    await mkdir(folder, { mode: 0o700 })
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST')
      throw new OperatorError(
        'data-folder',
        `The data folder ${shown} cannot be created (${codeOf(cause)}).`,
        'Name one that this user may write to: --data DIR, or data in artemis.yaml.',
        { cause }
      )
  }
  // What is learnt is written to the folder all the same.
  if (!isPersistent) return new MemoryLevel() as unknown as Level
  const store = path.join(folder, 'store')
  // LevelDB would begin an empty database over the files of the old one.
  if (isHeadless(store)) throw damaged(shown, 'the file CURRENT is missing')
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
        'Stop that one, or give this one a folder of its own: --data DIR.',
        { cause }
      )
    }
    if (isCorruption(cause)) throw damaged(shown, String(cause), cause)
    throw new OperatorError(
      'data-folder',
      `The data folder ${shown} cannot be used: ${printable(String(cause ?? error))}`,
      'Check that this user may write to it and that the disk has room.',
      { cause }
    )
  }
}

/** What reading a damaged database is told as; other errors are given back as they are. */
export function readingFailed(folder: string, error: unknown): unknown {
  return isCorruption(error) ? damaged(printable(folder, MAX_PATH_LENGTH), String(error), error) : error
}

/**
 * The broker's id in this run. It is new with each, since a will that an earlier run has left is known by it; and
 * counted, so that it is new even where the clock jumps back.
 */
export async function nextBrokerId(db: Level): Promise<string> {
  const run = Number(((await db.get(RUN_KEY)) as string | undefined) ?? 0) + 1
  await db.put(RUN_KEY, String(run), { sync: true })
  return `artemis-${String(run).padStart(RUN_DIGITS, '0')}`
}

function isHeadless(store: string): boolean {
  return (
    existsSync(store) &&
    !existsSync(path.join(store, 'CURRENT')) &&
    readdirSync(store).some(name => DATABASE_FILE.test(name))
  )
}

function damaged(shown: string, what: string, cause?: unknown): OperatorError {
  return new OperatorError(
    'data-damaged',
    `The data folder ${shown} is damaged: ${printable(what)}`,
    'Restore it from a backup, or move its folder "store" away and start again; retained messages and sessions are then lost.',
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
