// What survives a restart: retained messages, sessions, queued messages and wills, in LevelDB in the data folder.

import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { AedesPublishPacket } from 'aedes'
import levelPersistence from 'aedes-persistence-level'
import { Level } from 'level'
import { OperatorError } from '../src/errors.js'
import { inOrder } from './in-order.js'
import { MemoryDatabase } from './memory-database.js'
import { MAX_PATH_LENGTH, printable } from './printable.js'
import { RetainedMessages } from './retained.js'

/** Wills, retained messages and queues, as Aedes takes them. */
export type Persistence = levelPersistence.LevelPersistence

/** A message that waits for a client. */
export interface QueuedMessage {
  clientId: string
  packet: AedesPublishPacket
}

/** An open store. */
export interface Store {
  persistence: Persistence
  /** Id for the broker of this run: sorts after those of all runs before. */
  brokerId: string
  /** Retained messages. */
  readonly retained: { readonly size: number, readonly bytes: number }
  /** The client id of every subscription of a session that lasts: each as often as it has subscriptions. */
  subscribers(): AsyncIterable<string>
  /** All messages that wait for clients, those of earlier runs. */
  queued(): AsyncIterable<QueuedMessage>
  /** Removes what waits for a client. */
  dropQueue(clientId: string): Promise<void>
  /** Resolves when nothing has been read or written for a while, at the latest after five seconds. */
  settle(): Promise<void>
  close(): Promise<void>
}

// Outside the prefixes of aedes-persistence-level.
const RUN_KEY = 'artemis:run'
const RUN_DIGITS = 10
// As aedes-persistence-level names its keys: prefix, client id, then what numbers the message.
const QUEUE_PREFIXES = ['outgoing:', 'outgoing-id:']
const SETTLE_LIMIT_MS = 5000
/** What aedes-persistence-level says of a message that it does not have. */
const NOT_STORED = 'no such packet'

/**
 * Opens the store in a data folder, which is made if it is not there.
 * @param isPersistent false keeps all of it in memory: it is lost with a restart
 * @throws OperatorError `data-folder`, `data-in-use` or `data-damaged`.
 */
export async function openStore (folder: string, isPersistent = true): Promise<Store> {
  const db = await openDatabase(folder, isPersistent)
  const level = levelPersistence(withoutSnapshots(db))
  const retained = new RetainedMessages(level)
  await retained.load()
  const { ordered, settle } = inOrder(level, {
    addSubscriptions: storeOnce(level),
    outgoingUpdate: updateStored(level),
    storeRetained: (packet: AedesPublishPacket) => retained.storeRetained(packet),
    createRetainedStreamCombi: (filters: string[]) => retained.createRetainedStreamCombi(filters),
    createRetainedStream: (filter: string) => retained.createRetainedStreamCombi([filter])
  })
  return {
    persistence: ordered,
    brokerId: await nextBrokerId(db),
    retained,
    subscribers: () => subscribers(db),
    queued: () => queuedMessages(db, level),
    dropQueue: clientId => dropQueue(db, clientId),
    settle: () => settle(SETTLE_LIMIT_MS),
    close: () => db.close()
  }
}

async function openDatabase (folder: string, isPersistent: boolean): Promise<Level> {
  const shown = printable(folder, MAX_PATH_LENGTH)
  try {
    // What clients say is nobody else's business.
    await mkdir(folder, { mode: 0o700 })
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST') throw new OperatorError('data-folder', `The data folder ${shown} cannot be made (${codeOf(cause)}).`,
      'Name one that this user may write to: --data DIR, or data in artemis.yaml.', { cause })
  }
  // What is learnt is written to the folder all the same.
  if (!isPersistent) return new MemoryDatabase() as unknown as Level
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
 * Reads the queues message by message. A client takes its own at the pace of its acknowledgements, and may never
 * finish: LevelDB would keep on the disk whatever is overwritten or deleted until then.
 */
function withoutSnapshots (db: Level): Level {
  async function * values (range: { gte: string, lt: string, valueEncoding: string }): AsyncGenerator<unknown> {
    const keys = []
    for await (const key of db.keys({ gte: range.gte, lt: range.lt })) keys.push(key)
    for (const key of keys) {
      const value = await db.get(key, { valueEncoding: range.valueEncoding })
      if (value !== undefined) yield value
    }
  }
  return new Proxy(db, {
    get: (_target, name) => {
      if (name === 'values') return (range: Parameters<typeof values>[0]) => range.gte.startsWith(QUEUE_PREFIXES[0]) ? values(range) : db.values(range)
      const member: unknown = Reflect.get(db, name, db)
      return typeof member === 'function' ? member.bind(db) as unknown : member
    }
  })
}

async function * subscribers (db: Level): AsyncGenerator<string> {
  const prefix = 'subscriptions:'
  for await (const key of db.keys(rangeOf(prefix))) yield decodeURIComponent(key.slice(prefix.length, key.indexOf(':', prefix.length)))
}

async function * queuedMessages (db: Level, persistence: Persistence): AsyncGenerator<QueuedMessage> {
  const [prefix] = QUEUE_PREFIXES
  const clients = new Set<string>()
  for await (const key of db.keys(rangeOf(prefix))) clients.add(key.slice(prefix.length, key.indexOf(':', prefix.length)))
  for (const id of clients) {
    const clientId = decodeURIComponent(id)
    for await (const packet of persistence.outgoingStream({ id: clientId })) yield { clientId, packet }
  }
}

async function dropQueue (db: Level, clientId: string): Promise<void> {
  for (const prefix of QUEUE_PREFIXES) await db.clear(rangeOf(`${prefix}${encodeURIComponent(clientId)}:`))
}

/** All keys that begin so; the prefix ends with a colon, whose next character is a semicolon. */
function rangeOf (prefix: string): { gte: string, lt: string } {
  return { gte: prefix, lt: `${prefix.slice(0, -1)};` }
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

/**
 * Stores the filters of a SUBSCRIBE once. Aedes asks for all of them to be stored for each of them, with
 * the same list: 500 filters took ten seconds, and 2,000 all the memory.
 */
function storeOnce (persistence: Persistence): Persistence['addSubscriptions'] {
  const stored = new WeakMap<readonly unknown[], Promise<unknown>>()
  return (client, subscriptions) => {
    const storing = stored.get(subscriptions) ?? persistence.addSubscriptions(client, subscriptions)
    stored.set(subscriptions, storing)
    return storing
  }
}

/**
 * Takes for over what is not stored any more, where Aedes would disconnect the client: a message that was acknowledged
 * while it waited to be sent again goes out no more, and a PUBREC that came again or late gets its PUBREL.
 */
function updateStored (persistence: Persistence): Persistence['outgoingUpdate'] {
  return async (client, packet) => {
    try {
      await persistence.outgoingUpdate(client, packet)
    } catch (error) {
      if (!(error instanceof Error) || error.message !== NOT_STORED) throw error
      // Aedes leaves out what has expired.
      if (packet.cmd === 'publish') Object.assign(packet, { messageExpiry: 0 })
    }
  }
}

function codeOf (error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
