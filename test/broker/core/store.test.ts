// The store: one batch per turn, callbacks once it is on the disk, and no loss if the disk fails.

import { setImmediate, setTimeout as pause } from 'node:timers/promises'
import { Level } from 'level'
import { MemoryLevel } from 'memory-level'
import t from 'tap'
import { Store, type StoreListener } from '../../../broker/core/store.js'
import { Random } from '../../../models/random.js'
import { waitUntil } from '../../support/wait-until.js'
import { FakeDatabase } from './fake-database.js'

/** These tests wait a second for each retry: run them in parallel. */
const parallel = { buffered: true }
t.jobs = 3

const bytes = (value: string | number): Buffer => Buffer.from(String(value))

interface Setup {
  db: FakeDatabase
  store: Store
  events: string[]
}

function makeStore(sync?: boolean): Setup {
  const db = new FakeDatabase()
  const events: string[] = []
  const listener: StoreListener = {
    onFailed: ({ message }) => {
      events.push(`failed: ${message}`)
    },
    onRecovered: () => {
      events.push('recovered')
    }
  }
  return { db, events, store: new Store(db.database, listener, sync) }
}

async function keysOf(store: Store, range = { gte: '', lt: '~' }): Promise<string[]> {
  const keys: string[] = []
  for await (const key of store.keys(range)) keys.push(key)
  return keys
}

t.test('all changes of a turn are one batch, with the last change of each key', async t => {
  const { db, store } = makeStore()
  store.put('a', bytes(1))
  store.put('b', bytes(2))
  await Promise.resolve()
  store.put('a', bytes(3))
  store.del('c')
  store.del('b')
  store.put('b', bytes(4))
  t.same(db.batches, [], 'no batch before the end of the turn')
  await store.settled()
  t.same(db.batches, [['a=3', 'b=4', '-c']])
  store.put('d', bytes(5))
  await store.settled()
  t.same(db.batches.slice(1), [['d=5']])
  t.same(db.synced, [false, false])
})

t.test('sync is passed to the database', async t => {
  const { db, store } = makeStore(true)
  store.put('a', bytes(1))
  await store.settled()
  t.same(db.synced, [true])
})

t.test('all changes while a batch is being written are the next batch', async t => {
  const { db, store } = makeStore()
  db.hold()
  store.put('a', bytes(1))
  await waitUntil('the first batch', () => db.isHolding)
  for (let turn = 0; turn < 3; turn++) {
    store.put(`turn${turn}`, bytes(turn))
    await setImmediate()
  }
  t.same(db.batches, [['a=1']])
  db.release()
  await store.settled()
  t.same(db.batches, [['a=1'], ['turn0=0', 'turn1=1', 'turn2=2']])
})

t.test('a function as value is called when it is written or read', async t => {
  const { db, store } = makeStore()
  let value = 0
  let made = 0
  const make = (): Buffer => {
    made++
    return bytes(value)
  }
  store.put('a', make)
  value = 1
  t.same(await store.get('a'), bytes(1))
  value = 2
  made = 0
  await store.settled()
  t.same(db.batches, [['a=2']])
  t.equal(made, 1)
})

t.test('a key that is added and deleted in one turn is not written, and does not block waiting callbacks', async t => {
  const { db, store } = makeStore()
  store.add('a', bytes(1))
  store.del('a')
  await store.settled()
  t.same(db.batches, [])
  t.ok(store.isSettled)
  store.put('b', bytes(1))
  store.del('b')
  await store.settled()
  t.same(db.batches, [['-b']], 'a key that may exist is deleted')
  store.add('c', bytes(1))
  store.put('c', bytes(2))
  store.del('c')
  store.add('d', bytes(1))
  store.del('d')
  store.add('d', bytes(2))
  await store.settled()
  t.same(db.batches.slice(1), [['-c', 'd=2']])
  store.add('e', bytes(1))
  await store.settled()
  store.del('e')
  await store.settled()
  t.same(db.batches.slice(2), [['e=1'], ['-e']], 'both are written in two turns')
})

t.test('callbacks for changes that are undone while a batch is being written', async t => {
  const { db, store } = makeStore()
  db.hold()
  store.put('a', bytes(1))
  await waitUntil('a batch', () => db.isHolding)
  const events: string[] = []
  store.whenStored(() => {
    events.push('a')
  })
  store.add('x', bytes(1))
  store.whenStored(() => {
    events.push('x')
  })
  store.del('x')
  store.whenStored(() => {
    events.push('no x')
  })
  t.notOk(store.isSettled)
  db.release()
  await waitUntil('all callbacks', () => events.length === 3)
  t.same(events, ['a', 'x', 'no x'])
  t.same(db.batches, [['a=1']])
  t.ok(store.isSettled)
  await store.settled()
})

t.test('callbacks are called in order, each once its own changes are stored', async t => {
  const { db, store } = makeStore()
  const events: string[] = []
  const wait = (name: string): void => {
    store.whenStored(() => {
      events.push(`${name} ${[...db.data.keys()].join('')}`)
    })
  }
  wait('at once')
  t.same(events.splice(0), ['at once '], 'without pending changes')
  db.hold()
  store.put('a', bytes(1))
  wait('first')
  wait('second')
  await waitUntil('a batch', () => db.isHolding)
  wait('third')
  store.put('b', bytes(1))
  wait('fourth')
  db.release(true)
  await waitUntil('the next', () => db.isHolding)
  t.same(events.splice(0), ['first a', 'second a', 'third a'])
  store.put('c', bytes(1))
  wait('fifth')
  db.release(true)
  await waitUntil('the last', () => db.isHolding)
  t.same(events.splice(0), ['fourth ab'])
  db.release()
  await store.settled()
  t.same(events, ['fifth abc'])
})

t.test('batch numbers', async t => {
  const { db, store } = makeStore()
  const numbers = (): number[] => [store.batch, store.latest, store.stored, store.changes]
  t.same(numbers(), [1, 0, 0, 0])
  t.ok(store.isSettled)
  db.hold()
  store.put('a', bytes(1))
  store.del('b')
  t.same(numbers(), [1, 1, 0, 2])
  t.notOk(store.isSettled)
  await waitUntil('a batch', () => db.isHolding)
  t.same(numbers(), [2, 1, 0, 2])
  store.add('c', bytes(1))
  t.same(numbers(), [2, 2, 0, 3])
  db.release(true)
  await waitUntil('the next', () => db.isHolding)
  t.same(numbers(), [3, 2, 1, 3])
  db.release()
  await store.settled()
  t.same(numbers(), [3, 2, 2, 3])
  t.ok(store.isSettled)
})

t.test('watchers are called for each batch until they stop, and may make further changes', async t => {
  const { store } = makeStore()
  const stored: number[] = []
  const end = store.watch(() => {
    stored.push(store.stored)
    if (store.stored < 3) store.put('a', bytes(store.stored))
    else end()
  })
  store.put('a', bytes(0))
  await waitUntil('three batches', () => stored.length === 3)
  store.put('a', bytes(9))
  await store.settled()
  t.same(stored, [1, 2, 3])
  await new Promise<void>(resolve => {
    store.put('b', bytes(1))
    store.whenStored(() => {
      store.put('c', bytes(1))
      store.whenStored(resolve)
    })
  })
  t.same(await store.get('c'), bytes(1))
})

t.test('reads include changes that are not written yet', async t => {
  const { db, store } = makeStore()
  for (const key of ['a', 'b', 'c']) db.data.set(key, bytes('old'))
  t.same(await store.get('a'), bytes('old'))
  t.equal(await store.get('never'), undefined)
  db.hold()
  store.put('a', bytes('writing'))
  store.del('b')
  store.add('d', bytes('writing'))
  t.same(await store.get('a'), bytes('writing'))
  t.equal(await store.get('b'), undefined)
  await waitUntil('a batch', () => db.isHolding)
  t.same(await store.get('a'), bytes('writing'))
  t.equal(await store.get('b'), undefined)
  store.put('b', bytes('new'))
  store.del('d')
  t.same(await store.get('b'), bytes('new'))
  t.equal(await store.get('d'), undefined)
  t.same(await store.get('c'), bytes('old'))
  const keys = keysOf(store)
  db.release()
  t.same(await keys, ['a', 'b', 'c'], 'keys after the changes')
  const entries: [string, string][] = []
  for await (const [key, value] of store.entries({ gt: 'a', lt: 'z', limit: 1 })) entries.push([key, value.toString()])
  t.same(entries, [['b', 'new']])
})

t.test('close writes pending changes', async t => {
  const { db, store, events } = makeStore()
  store.put('a', bytes(1))
  t.same(await store.close(), { lost: 0 })
  t.same([...db.data.keys()], ['a'])
  t.equal(db.isOpen, false)
  t.same(events, [])
  const empty = makeStore()
  t.same(await empty.store.close(), { lost: 0 })
  t.equal(empty.db.closed, 1)
})

t.test('a failed batch is retried on a reopened database, and reported once', parallel, async t => {
  const { db, store, events } = makeStore()
  db.failure = new Error('no space')
  const stored: string[] = []
  store.put('a', bytes(1))
  store.whenStored(() => {
    stored.push('a')
  })
  await waitUntil('a failure', () => events.length > 0)
  t.equal(store.isFailing, true)
  store.put('b', bytes(1))
  store.whenStored(() => {
    stored.push('b')
  })
  await waitUntil('a retry', () => db.batches.length === 2)
  t.same([events, stored, db.isOpen], [['failed: no space'], [], false])
  t.same(await store.get('a'), bytes(1), 'readable')
  db.failure = undefined
  await waitUntil('all stored', () => store.isSettled)
  t.same(events, ['failed: no space', 'recovered'])
  t.same(stored, ['a', 'b'])
  t.equal(store.isFailing, false)
  t.same(db.batches.at(-1), ['b=1'])
  t.ok(
    db.batches.slice(0, -1).every(batch => batch.join() === 'a=1'),
    'the same batch each time'
  )
  t.ok(db.opened >= 2 && db.closed >= 2)
  db.failure = new Error('again')
  store.put('c', bytes(1))
  await waitUntil('another failure', () => events.length === 3)
  db.failure = undefined
  await waitUntil('all stored', () => store.isSettled)
  t.same(events.slice(2), ['failed: again', 'recovered'])
})

t.test('close stops retrying on a full disk, and returns how many changes are lost', parallel, async t => {
  const { db, store, events } = makeStore()
  db.failure = new Error('no space')
  store.put('a', bytes(1))
  store.put('b', bytes(1))
  await waitUntil('a failure', () => events.length > 0)
  store.put('c', bytes(1))
  let isStored = false
  store.whenStored(() => {
    isStored = true
  })
  t.same(await store.close(200), { lost: 3 })
  t.equal(db.isOpen, false)
  const { opened } = db
  db.failure = undefined
  await pause(1_300)
  t.same(
    [db.isOpen, db.opened, isStored, events],
    [false, opened, false, ['failed: no space']],
    'nothing is opened or written afterwards'
  )
})

t.test('close while the database is being reopened leaves it closed', parallel, async t => {
  const { db, store, events } = makeStore()
  let closing: (() => void) | undefined
  db.close = async () => {
    db.closed++
    db.isOpen = false
    if (db.closed === 1)
      await new Promise<void>(resolve => {
        closing = resolve
      })
  }
  db.failure = new Error('no space')
  store.put('a', bytes(1))
  await waitUntil('a failure', () => events.length > 0)
  db.failure = undefined
  await waitUntil('the close', () => closing !== undefined)
  t.same(await store.close(50), { lost: 1 })
  closing?.()
  await pause(50)
  t.same([db.opened, db.isOpen, [...db.data]], [0, false, []])
})

for (const [name, make] of [
  ['memory-level', () => new MemoryLevel() as unknown as Level],
  ['level', (folder: string) => new Level(folder)]
] as const) {
  t.test(`random changes, with ${name}`, async t => {
    const db = make(t.testdir({}))
    await db.open()
    const store = new Store(db, {
      onFailed: error => {
        t.fail(error.message)
      },
      onRecovered: () => {}
    })
    const random = new Random(11)
    const expected = new Map<string, string>()
    let newKeys = 0
    for (let step = 0; step < 3_000; step++) {
      const key = `${['a', 'ö', 'z:'][random.integer(3)]}${random.integer(40)}`
      const draw = random.integer(10)
      if (draw < 5) {
        store.put(key, bytes(step))
        expected.set(key, String(step))
      } else if (draw < 8) {
        store.del(key)
        expected.delete(key)
      } else {
        const added = `new${newKeys++}`
        store.add(added, bytes(step))
        if (random.integer(3) === 0) store.del(added)
        else expected.set(added, String(step))
      }
      if (random.integer(5) === 0) await setImmediate()
      const value = (await store.get(key))?.toString()
      if (value !== expected.get(key)) t.equal(value, expected.get(key), `${key} in step ${step}`)
    }
    const sorted = [...expected].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    const found: [string, string][] = []
    for await (const [key, value] of store.entries({ gte: '', lt: '\u{10ffff}' })) found.push([key, value.toString()])
    t.same(found, sorted)
    t.same(
      await keysOf(store, { gte: 'a', lt: 'b' }),
      sorted.map(([key]) => key).filter(key => key.startsWith('a'))
    )
    store.put('last', bytes('x'))
    t.same(await store.close(), { lost: 0 })
    if (name === 'memory-level') return
    const again = make(t.testdirName)
    await again.open()
    t.same((await again.keys().all()).length, sorted.length + 1)
    await again.close()
  })
}
