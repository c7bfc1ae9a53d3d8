// Imports old queues: the result is the same after any interruption, and old records stay until it is complete.

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

/** Returns all records of a broker that ended in this way. */
async function oldData(test: Test, ended: Ended): Promise<Data> {
  const folder = path.join(test.testdir({}), ended)
  unpackOldStore(ended, folder)
  const db = new Level<string, Buffer>(path.join(folder, 'store'), { valueEncoding: 'buffer' })
  const data = new Map(await db.iterator().all())
  await db.close()
  return data
}

/** A database with given records that hangs after a number of batches: further batches never finish. */
class HangingDatabase extends FakeDatabase {
  isHanging = false
  readonly #maxBatches: number

  constructor(data: Data, maxBatches = Infinity) {
    super()
    this.#maxBatches = maxBatches
    for (const [key, value] of data) this.data.set(key, value)
  }

  override async batch(...args: Parameters<FakeDatabase['batch']>): Promise<void> {
    if (this.batches.length >= this.#maxBatches) {
      this.isHanging = true
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

/** Runs until it is done or the database hangs. */
async function runUntilHang(db: HangingDatabase, run: () => Promise<unknown>): Promise<void> {
  let isDone = false
  void run().then(() => {
    isDone = true
  })
  await waitUntil('the end', () => isDone || db.isHanging)
}

/** Returns records without the time of the import, which differs. */
function comparable(data: Data): [string, string][] {
  return [...data]
    .map(([key, value]): [string, string] => [
      key,
      (key.startsWith(SESSIONS) ? encodeSession({ ...decodeSession(value), disconnectedAt: 0 }) : value).toString('hex')
    ])
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

function isOld(key: string): boolean {
  return OLD_PREFIXES.some(prefix => key.startsWith(prefix))
}

for (const ended of ['killed', 'stopped'] as const) {
  t.test(`data of a ${ended} broker`, async t => {
    const old = await oldData(t, ended)
    const complete = new HangingDatabase(old)
    const expected = oldContents(ended).sessions
    t.equal(
      await importInto(complete),
      expected.reduce((sum, { queue }) => sum + queue.length, 0)
    )

    await t.test('every session has its queue, in order and with its packet identifiers', t => {
      for (const { clientId, queue, inbound } of expected) {
        const session = complete.data.get(keyOf(SESSIONS, clientId))
        t.match(decodeSession(session as Buffer), { expiry: NEVER, start: 0 }, clientId)
        const prefix = prefixOf(QUEUE, clientId)
        const stored = [...complete.data].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1))
        const mark = complete.data.get(keyOf(SENT, clientId))
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
          t.ok(complete.data.has(receivedKey(clientId, packetId)), `${clientId} has not released ${packetId}`)
      }
      t.end()
    })

    await t.test('the result is the same after any interruption', async t => {
      const result = comparable(complete.data)
      const text = JSON.stringify(result)
      t.ok(complete.batches.length > expected.length, `${complete.batches.length} batches`)
      // To save time, the smaller folder is interrupted only at every fifth batch.
      for (let maxBatches = 0; maxBatches < complete.batches.length; maxBatches += ended === 'killed' ? 1 : 5) {
        const interrupted = new HangingDatabase(old, maxBatches)
        await runUntilHang(interrupted, () => importInto(interrupted))
        t.ok(interrupted.isHanging)
        t.ok(
          [...old.keys()].every(key => interrupted.data.has(key)),
          'all old records are kept'
        )
        t.notOk(interrupted.data.has(IMPORTED))
        // Interrupt it a second time before it completes.
        const again = new HangingDatabase(interrupted.data, maxBatches >> 1)
        await runUntilHang(again, () => importInto(again))
        const last = new HangingDatabase(again.data)
        await importInto(last)
        const found = comparable(last.data)
        if (JSON.stringify(found) !== text) t.same(found, result, `after ${maxBatches} batches`)
      }
    })

    await t.test('a completed import is not repeated, even if the queues have changed since', async t => {
      const later = new HangingDatabase(complete.data)
      for (const key of later.data.keys()) if (key.startsWith(QUEUE)) later.data.delete(key)
      const before = comparable(later.data)
      t.equal(await importInto(later), undefined)
      t.same(comparable(later.data), before)
    })

    await t.test('removeImported removes only the old records, also after an interruption', async t => {
      const remaining = comparable(new Map([...complete.data].filter(([key]) => !isOld(key) && key !== IMPORTED)))
      const uninterrupted = new HangingDatabase(complete.data)
      await removeImported(storeOn(uninterrupted))
      for (let maxBatches = 0; maxBatches <= uninterrupted.batches.length; maxBatches++) {
        const interrupted = new HangingDatabase(complete.data, maxBatches)
        await runUntilHang(interrupted, () => removeImported(storeOn(interrupted)))
        const last = new HangingDatabase(interrupted.data)
        t.equal(await importInto(last), undefined, 'a start in between does not import again')
        await removeImported(storeOn(last))
        t.same([...last.data.keys()].filter(isOld), [])
        t.same(comparable(new Map([...last.data].filter(([key]) => key !== IMPORTED))), remaining)
        const { length } = last.batches
        await removeImported(storeOn(last))
        t.equal(last.batches.length, length, 'nothing left to do')
      }
    })
  })
}

t.test('a folder without old records is checked only once', async t => {
  const db = new HangingDatabase(new Map([['retained:a', Buffer.from('x')]]))
  t.equal(await importInto(db), undefined)
  t.same([...db.data.keys()], ['retained:a', IMPORTED])
  await removeImported(storeOn(db))
  db.data.set('outgoing:later:b:1', Buffer.from('not ours'))
  t.equal(await importInto(db), undefined)
  t.equal(db.batches.length, 1)
})
