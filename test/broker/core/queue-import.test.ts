// Taking over old queues: the same wherever it was interrupted, and nothing of them is gone before all of it is
// through.

import path from 'node:path'
import { Level } from 'level'
import t, { type Test } from 'tap'
import { openPersistence } from '../../../broker/core/persistence.js'
import { importQueues, removeImported } from '../../../broker/core/queue-import.js'
import {
  decodeQueued,
  decodeSent,
  decodeSession,
  encodeSession,
  IMPORTED,
  keyOf,
  packetIdOf,
  prefixOf,
  QUEUE,
  readQueueKey,
  receivedKey,
  SENT,
  SESSIONS
} from '../../../broker/core/records.js'
import { NEVER } from '../../../broker/core/sessions.js'
import { Store } from '../../../broker/core/store.js'
import { waitUntil } from '../../support/wait-until.js'
import { FakeDatabase } from './fake-database.js'
import { oldContents, unpackOldStore, type Ended } from './old-store.js'

type Data = ReadonlyMap<string, Buffer>

const OLD_PREFIXES = ['outgoing:', 'outgoing-id:', 'incoming:']

/** All that a broker left which ended so. */
async function oldData(test: Test, ended: Ended): Promise<Data> {
  const folder = path.join(test.testdir({}), ended)
  unpackOldStore(ended, folder)
  const db = new Level<string, Buffer>(path.join(folder, 'store'), { valueEncoding: 'buffer' })
  const data = new Map(await db.iterator().all())
  await db.close()
  return data
}

/** A database with this in it, which dies after so many batches: what comes then is neither written nor refused. */
class DyingDatabase extends FakeDatabase {
  isDead = false
  readonly #lives: number

  constructor(data: Data, lives = Infinity) {
    super()
    this.#lives = lives
    for (const [key, value] of data) this.data.set(key, value)
  }

  override async batch(...args: Parameters<FakeDatabase['batch']>): Promise<void> {
    if (this.batches.length >= this.#lives) {
      this.isDead = true
      await new Promise(() => {})
    }
    await super.batch(...args)
  }
}

function storeOn(db: FakeDatabase): Store {
  return new Store(db.database, {
    onFailed: error => {
      throw error
    },
    onRecovered: () => {}
  })
}

async function importInto(db: FakeDatabase): Promise<number | undefined> {
  const store = storeOn(db)
  const persistence = await openPersistence(store, 'broker')
  return await importQueues(store, persistence)
}

/** Begins, and comes to its end or to that of the database. */
async function untilDeath(db: DyingDatabase, run: () => Promise<unknown>): Promise<void> {
  let isThrough = false
  void run().then(() => {
    isThrough = true
  })
  await waitUntil('the end', () => isThrough || db.isDead)
}

/** What can be compared: when a session was taken over is the only thing that differs. */
function comparable(data: Data): [string, string][] {
  return [...data]
    .map(([key, value]): [string, string] => [
      key,
      (key.startsWith(SESSIONS) ? encodeSession({ ...decodeSession(value), awaySince: 0 }) : value).toString('hex')
    ])
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

function isOld(key: string): boolean {
  return OLD_PREFIXES.some(prefix => key.startsWith(prefix))
}

for (const ended of ['killed', 'stopped'] as const) {
  t.test(`what a broker left that was ${ended}`, async t => {
    const old = await oldData(t, ended)
    const whole = new DyingDatabase(old)
    const expected = oldContents(ended).sessions
    t.equal(
      await importInto(whole),
      expected.reduce((sum, { queue }) => sum + queue.length, 0)
    )

    await t.test('every session has its queue, in its order and under its packet identifiers', t => {
      for (const { clientId, queue, inbound } of expected) {
        const session = whole.data.get(keyOf(SESSIONS, clientId))
        t.match(decodeSession(session as Buffer), { expiry: NEVER, start: 0 }, clientId)
        const prefix = prefixOf(QUEUE, clientId)
        const stored = [...whole.data].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1))
        const mark = whole.data.get(keyOf(SENT, clientId))
        const sent = mark === undefined ? 0 : decodeSent(mark)
        const found = stored.map(([key, value]) => {
          const { sequence, size } = readQueueKey(key)
          const record = decodeQueued(value)
          const packetId = sequence <= sent ? packetIdOf(sequence) : undefined
          if (record !== undefined) t.equal(size, record.message.queuedBytes)
          return record === undefined
            ? { state: 'released', packetId }
            : { state: packetId === undefined ? 'unsent' : 'sent', packetId, topic: record.message.topic }
        })
        t.same(
          found,
          queue.map(item => ({
            state: item.state,
            packetId: item.state === 'unsent' ? undefined : item.packetId,
            ...(item.state !== 'released' && { topic: item.topic })
          })),
          clientId
        )
        for (const packetId of inbound)
          t.ok(whole.data.has(receivedKey(clientId, packetId)), `${clientId} has yet to release ${packetId}`)
      }
      t.end()
    })

    await t.test('it is the same wherever it is interrupted', async t => {
      const result = comparable(whole.data)
      const text = JSON.stringify(result)
      t.ok(whole.batches.length > expected.length, `${whole.batches.length} batches`)
      // Each place takes its time: the folder in which there is less is interrupted at some of them.
      for (let lives = 0; lives < whole.batches.length; lives += ended === 'killed' ? 1 : 5) {
        const dying = new DyingDatabase(old, lives)
        await untilDeath(dying, () => importInto(dying))
        t.ok(dying.isDead)
        t.ok(
          [...old.keys()].every(key => dying.data.has(key)),
          'nothing of the old is gone'
        )
        t.notOk(dying.data.has(IMPORTED))
        // Once more it dies, a little later, before it gets through.
        const again = new DyingDatabase(dying.data, lives >> 1)
        await untilDeath(again, () => importInto(again))
        const last = new DyingDatabase(again.data)
        await importInto(last)
        const found = comparable(last.data)
        if (JSON.stringify(found) !== text) t.same(found, result, `after ${lives} batches`)
      }
    })

    await t.test('once it is through it is not done again, whatever has become of the queues since', async t => {
      const later = new DyingDatabase(whole.data)
      for (const key of later.data.keys()) if (key.startsWith(QUEUE)) later.data.delete(key)
      const before = comparable(later.data)
      t.equal(await importInto(later), undefined)
      t.same(comparable(later.data), before)
    })

    await t.test('the old records go when they are told to, also in two attempts, and nothing else does', async t => {
      const remaining = comparable(new Map([...whole.data].filter(([key]) => !isOld(key) && key !== IMPORTED)))
      const through = new DyingDatabase(whole.data)
      await removeImported(storeOn(through))
      for (let lives = 0; lives <= through.batches.length; lives++) {
        const dying = new DyingDatabase(whole.data, lives)
        await untilDeath(dying, () => removeImported(storeOn(dying)))
        const last = new DyingDatabase(dying.data)
        t.equal(await importInto(last), undefined, 'a start in between takes nothing over again')
        await removeImported(storeOn(last))
        t.same([...last.data.keys()].filter(isOld), [])
        t.same(comparable(new Map([...last.data].filter(([key]) => key !== IMPORTED))), remaining)
        const { length } = last.batches
        await removeImported(storeOn(last))
        t.equal(last.batches.length, length, 'and then there is nothing to do')
      }
    })
  })
}

t.test('a folder without anything old is looked at once', async t => {
  const db = new DyingDatabase(new Map([['retained:a', Buffer.from('x')]]))
  t.equal(await importInto(db), undefined)
  t.same([...db.data.keys()], ['retained:a', IMPORTED])
  await removeImported(storeOn(db))
  db.data.set('outgoing:later:b:1', Buffer.from('not ours'))
  t.equal(await importInto(db), undefined)
  t.equal(db.batches.length, 1)
})
