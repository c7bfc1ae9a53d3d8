// The store: a batch for each turn, whoever waits is told when the disk has it, and a disk that fails loses nothing.

import { setImmediate, setTimeout as pause } from 'node:timers/promises'
import { Level } from 'level'
import { MemoryLevel } from 'memory-level'
import t from 'tap'
import { Store, type StoreListener } from '../../../broker/core/store.js'
import { Random } from '../../../models/random.js'
import { waitUntil } from '../../support/wait-until.js'
import { FakeDatabase } from './fake-database.js'

/** These wait for the disk to be tried again, a second each time: side by side. */
const beside = { buffered: true }
t.jobs = 3

const bytes = (value: string | number): Buffer => Buffer.from(String(value))

interface Made {
  db: FakeDatabase
  store: Store
  told: string[]
}

function makeStore(sync?: boolean): Made {
  const db = new FakeDatabase()
  const told: string[] = []
  const listener: StoreListener = {
    onFailed: ({ message }) => {
      told.push(`failed: ${message}`)
    },
    onRecovered: () => {
      told.push('recovered')
    }
  }
  return { db, told, store: new Store(db.database, listener, sync) }
}

async function keysOf(store: Store, range = { gte: '', lt: '~' }): Promise<string[]> {
  const keys: string[] = []
  for await (const key of store.keys(range)) keys.push(key)
  return keys
}

t.test('all changes of a turn are one batch, and of each key the last one', async t => {
  const { db, store } = makeStore()
  store.put('a', bytes(1))
  store.put('b', bytes(2))
  await Promise.resolve()
  store.put('a', bytes(3))
  store.del('c')
  store.del('b')
  store.put('b', bytes(4))
  t.same(db.batches, [], 'nothing is written before the turn is over')
  await store.settled()
  t.same(db.batches, [['a=3', 'b=4', '-c']])
  store.put('d', bytes(5))
  await store.settled()
  t.same(db.batches.slice(1), [['d=5']])
  t.same(db.synced, [false, false])
})

t.test('batches are forced to the disk where that was asked for', async t => {
  const { db, store } = makeStore(true)
  store.put('a', bytes(1))
  await store.settled()
  t.same(db.synced, [true])
})

t.test('what is changed while a batch is being written is the next one, however many turns that takes', async t => {
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

t.test('a value that is a function is made once, when it is written, or when it is asked for', async t => {
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

t.test('what is added and removed in one turn leaves nothing, and nobody waits for it for ever', async t => {
  const { db, store } = makeStore()
  store.add('a', bytes(1))
  store.del('a')
  await store.settled()
  t.same(db.batches, [])
  t.ok(store.isSettled)
  store.put('b', bytes(1))
  store.del('b')
  await store.settled()
  t.same(db.batches, [['-b']], 'what the database may have is removed')
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
  t.same(db.batches.slice(2), [['e=1'], ['-e']], 'in two turns both are written')
})

t.test('changes that are undone while a batch is being written: whoever waits for them is told', async t => {
  const { db, store } = makeStore()
  db.hold()
  store.put('a', bytes(1))
  await waitUntil('a batch', () => db.isHolding)
  const told: string[] = []
  store.whenStored(() => {
    told.push('a')
  })
  store.add('x', bytes(1))
  store.whenStored(() => {
    told.push('x')
  })
  store.del('x')
  store.whenStored(() => {
    told.push('no x')
  })
  t.notOk(store.isSettled)
  db.release()
  await waitUntil('all are told', () => told.length === 3)
  t.same(told, ['a', 'x', 'no x'])
  t.same(db.batches, [['a=1']])
  t.ok(store.isSettled)
  await store.settled()
})

t.test('who waits is told in order, when the own changes are stored, and not with later ones', async t => {
  const { db, store } = makeStore()
  const told: string[] = []
  const wait = (name: string): void => {
    store.whenStored(() => {
      told.push(`${name} ${[...db.data.keys()].join('')}`)
    })
  }
  wait('at once')
  t.same(told.splice(0), ['at once '], 'where there is nothing to wait for')
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
  t.same(told.splice(0), ['first a', 'second a', 'third a'])
  store.put('c', bytes(1))
  wait('fifth')
  db.release(true)
  await waitUntil('the last', () => db.isHolding)
  t.same(told.splice(0), ['fourth ab'])
  db.release()
  await store.settled()
  t.same(told, ['fifth abc'])
})

t.test('the number of a batch tells what is stored', async t => {
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

t.test('watchers are told of every batch until they end it, and whoever is told may change more', async t => {
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

t.test('reading sees what is not yet written', async t => {
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
  t.same(await keys, ['a', 'b', 'c'], 'the keys are those of afterwards')
  const entries: [string, string][] = []
  for await (const [key, value] of store.entries({ gt: 'a', lt: 'z', limit: 1 })) entries.push([key, value.toString()])
  t.same(entries, [['b', 'new']])
})

t.test('closing writes what is left', async t => {
  const { db, store, told } = makeStore()
  store.put('a', bytes(1))
  t.same(await store.close(), { lost: 0 })
  t.same([...db.data.keys()], ['a'])
  t.equal(db.isOpen, false)
  t.same(told, [])
  const empty = makeStore()
  t.same(await empty.store.close(), { lost: 0 })
  t.equal(empty.db.closed, 1)
})

t.test('a batch that fails is tried again on a database that is opened anew, and told of once', beside, async t => {
  const { db, store, told } = makeStore()
  db.failure = new Error('no space')
  const stored: string[] = []
  store.put('a', bytes(1))
  store.whenStored(() => {
    stored.push('a')
  })
  await waitUntil('it failed', () => told.length > 0)
  t.equal(store.isFailing, true)
  store.put('b', bytes(1))
  store.whenStored(() => {
    stored.push('b')
  })
  await waitUntil('it is tried again', () => db.batches.length === 2)
  t.same([told, stored, db.isOpen], [['failed: no space'], [], false])
  t.same(await store.get('a'), bytes(1), 'it can be read')
  db.failure = undefined
  await waitUntil('all is stored', () => store.isSettled)
  t.same(told, ['failed: no space', 'recovered'])
  t.same(stored, ['a', 'b'])
  t.equal(store.isFailing, false)
  t.same(db.batches.at(-1), ['b=1'])
  t.ok(
    db.batches.slice(0, -1).every(batch => batch.join() === 'a=1'),
    'the same each time'
  )
  t.ok(db.opened >= 2 && db.closed >= 2)
  db.failure = new Error('again')
  store.put('c', bytes(1))
  await waitUntil('it failed again', () => told.length === 3)
  db.failure = undefined
  await waitUntil('all is stored', () => store.isSettled)
  t.same(told.slice(2), ['failed: again', 'recovered'])
})

t.test('closing gives up on a disk that stays full, and tells how much is lost', beside, async t => {
  const { db, store, told } = makeStore()
  db.failure = new Error('no space')
  store.put('a', bytes(1))
  store.put('b', bytes(1))
  await waitUntil('it failed', () => told.length > 0)
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
    [db.isOpen, db.opened, isStored, told],
    [false, opened, false, ['failed: no space']],
    'and nothing is opened or written afterwards'
  )
})

t.test('closing while the database is being opened anew leaves it closed', beside, async t => {
  const { db, store, told } = makeStore()
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
  await waitUntil('it failed', () => told.length > 0)
  db.failure = undefined
  await waitUntil('it is being closed', () => closing !== undefined)
  t.same(await store.close(50), { lost: 1 })
  closing?.()
  await pause(50)
  t.same([db.opened, db.isOpen, [...db.data]], [0, false, []])
})

for (const [name, make] of [
  ['memory-level', () => new MemoryLevel() as unknown as Level],
  ['level', (folder: string) => new Level(folder)]
] as const) {
  t.test(`whatever is changed at random is there, through ${name}`, async t => {
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
    let fresh = 0
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
        const added = `new${fresh++}`
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
