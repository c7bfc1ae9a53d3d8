// What survives a restart: retained messages, sessions, queued messages and wills, in LevelDB in the data folder.

import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import levelPersistence from 'aedes-persistence-level'
import { Level } from 'level'
import { OperatorError } from '../src/errors.js'
import { MAX_PATH_LENGTH, printable } from './printable.js'

/** Wills, retained messages and queues, as Aedes takes them. */
export type Persistence = levelPersistence.LevelPersistence

/** An open store. */
export interface Store {
  persistence: Persistence
  /** Id for the broker of this run: sorts after those of all runs before. */
  brokerId: string
  /** Resolves when nothing has been read or written for a while; at the latest after five seconds. */
  settle(): Promise<void>
  close(): Promise<void>
}

// Outside the prefixes of aedes-persistence-level.
const RUN_KEY = 'artemis:run'
const RUN_DIGITS = 10
const SETTLE_LIMIT_MS = 5000
// Aedes puts at most a few turns of the event loop between two steps of a publish.
const QUIET_TURNS = 20

/**
 * Opens the store in a data folder, which is made if it is not there.
 * @throws OperatorError `data-folder`, `data-in-use` or `data-damaged`.
 */
export async function openStore (folder: string): Promise<Store> {
  const db = await openDatabase(folder)
  let pending = 0
  const persistence = counted(levelPersistence(db), change => { pending += change })

  async function settle (): Promise<void> {
    const limit = performance.now() + SETTLE_LIMIT_MS
    for (let quiet = 0; quiet < QUIET_TURNS && performance.now() < limit; quiet++) {
      if (pending > 0) quiet = 0
      await nextTurn()
    }
  }

  return { persistence, brokerId: await nextBrokerId(db), settle, close: () => db.close() }
}

async function openDatabase (folder: string): Promise<Level> {
  const shown = printable(folder, MAX_PATH_LENGTH)
  try {
    // What clients say is nobody else's business.
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new OperatorError('data-folder', `The data folder ${shown} cannot be made (${codeOf(cause)}).`,
      'Name one that this user may write to: --data DIR, or data in artemis.yaml.', { cause })
  }
  const db = new Level(path.join(folder, 'store'))
  try {
    await db.open()
    return db
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    const code = codeOf(cause)
    if (code === 'LEVEL_LOCKED') {
      throw new OperatorError('data-in-use', `The data folder ${shown} is in use by another broker.`,
        'Stop that one, or give this one a folder of its own: --data DIR.', { cause })
    }
    if (code === 'LEVEL_CORRUPTION') {
      throw new OperatorError('data-damaged', `The data folder ${shown} is damaged: ${printable(String(cause))}`,
        'Move it away and start again; retained messages and sessions are then lost.', { cause })
    }
    throw new OperatorError('data-folder', `The data folder ${shown} cannot be used: ${printable(String(cause ?? error))}`,
      'Check that this user may write to it and that the disk has room.', { cause })
  }
}

/**
 * Queued messages are delivered in the order of their keys: broker id, then a counter that starts anew
 * with each run. So the id must sort by run; and it must be new, or Aedes would take the wills left by
 * a killed run for those of its own clients. A count does both, even where the clock jumps back.
 */
async function nextBrokerId (db: Level): Promise<string> {
  const run = Number(await db.get(RUN_KEY) ?? 0) + 1
  // Written through to the disk: a number used twice would let new messages overwrite old ones.
  await db.put(RUN_KEY, String(run), { sync: true })
  return `artemis-${String(run).padStart(RUN_DIGITS, '0')}`
}

/** The same persistence, telling of each operation that starts (1) and ends (-1). */
function counted (persistence: Persistence, count: (change: number) => void): Persistence {
  return new Proxy(persistence, {
    get (target, name) {
      const member: unknown = Reflect.get(target, name, target)
      // Aedes asks for the setup's own constructor.
      if (typeof member !== 'function' || name === 'setup') return typeof member === 'function' ? member.bind(target) : member
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(member, target, args)
        if (result instanceof Promise) {
          count(1)
          const ended = (): void => count(-1)
          result.then(ended, ended)
        }
        return result
      }
    }
  })
}

function codeOf (error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
