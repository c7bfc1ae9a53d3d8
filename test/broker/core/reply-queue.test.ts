// Acknowledgements go out in their order, and none before the store has what it stands for.

import t from 'tap'
import { ReplyQueue } from '../../../broker/core/reply-queue.js'
import { Store } from '../../../broker/core/store.js'
import { waitUntil } from '../../support/wait-until.js'
import { FakeDatabase } from './fake-database.js'

function make(): { db: FakeDatabase; store: Store; answers: ReplyQueue; sent: string[]; released: () => number } {
  const db = new FakeDatabase()
  db.hold()
  const store = new Store(db.database, { onFailed: () => {}, onRecovered: () => {} })
  let released = 0
  return {
    db,
    store,
    answers: new ReplyQueue(store, () => {
      released++
    }),
    sent: [],
    released: () => released
  }
}

function change(store: Store): number {
  store.put(`key${store.changes}`, Buffer.from('x'))
  return store.latest
}

t.test('an answer that needs nothing, or what is stored already, is sent at once', async t => {
  const { db, store, answers, sent, released } = make()
  answers.add(0, () => {
    sent.push('a')
  })
  t.same(sent, ['a'])
  const batch = change(store)
  await waitUntil('a batch', () => db.isHolding)
  db.release()
  await store.settled()
  answers.add(batch, () => {
    sent.push('b')
  })
  t.same([sent, answers.length, released()], [['a', 'b'], 0, 0])
})

t.test('answers wait for the store, and those behind them for them [MQTT-4.6.0-2]', async t => {
  const { db, store, answers, sent, released } = make()
  const add = (name: string, batch: number): void => {
    answers.add(batch, () => {
      sent.push(`${name} ${store.stored}`)
    })
  }
  add('a', change(store))
  add('b', 0)
  await waitUntil('a batch', () => db.isHolding)
  add('c', change(store))
  add('d', 1)
  t.same([sent, answers.length], [[], 4])
  db.release(true)
  await waitUntil('the next', () => db.isHolding)
  t.same([sent.splice(0), answers.length, released()], [['a 1', 'b 1'], 2, 1])
  add('e', 0)
  db.release()
  await store.settled()
  t.same([sent, answers.length, released()], [['c 2', 'd 2', 'e 2'], 0, 2])
  add('f', 0)
  t.equal(sent.at(-1), 'f 2')
})

t.test('a batch that releases nothing tells nobody', async t => {
  const { db, store, answers, sent, released } = make()
  change(store)
  await waitUntil('a batch', () => db.isHolding)
  answers.add(change(store), () => {
    sent.push('a')
  })
  db.release(true)
  await waitUntil('the next', () => db.isHolding)
  t.same([sent, released()], [[], 0])
  db.release()
  await store.settled()
  t.same([sent, released()], [['a'], 1])
})

t.test('one that is answered while others are being sent comes behind them', async t => {
  const { db, store, answers, sent } = make()
  answers.add(change(store), () => {
    sent.push('a')
    answers.add(0, () => {
      sent.push('c')
    })
  })
  answers.add(0, () => {
    sent.push('b')
  })
  db.release()
  await store.settled()
  t.same([sent, answers.length], [['a', 'b', 'c'], 0])
})

t.test('nothing is sent after closing, be it in the middle', async t => {
  const { db, store, answers, sent, released } = make()
  let watchers = 0
  const watch = store.watch.bind(store)
  store.watch = onStored => {
    watchers++
    const end = watch(onStored)
    return () => {
      watchers--
      end()
    }
  }
  answers.add(change(store), () => {
    sent.push('a')
  })
  t.equal(watchers, 1)
  answers.close()
  t.equal(watchers, 0, 'nor is the store watched')
  await waitUntil('a batch', () => db.isHolding)
  db.release()
  await store.settled()
  t.same([sent, answers.length, released()], [[], 0, 0])
  db.hold()
  answers.add(change(store), () => {
    sent.push('b')
    answers.close()
  })
  answers.add(0, () => {
    sent.push('c')
  })
  await waitUntil('a batch', () => db.isHolding)
  db.release()
  await store.settled()
  t.same([sent, answers.length, watchers], [['b'], 0, 0])
})

t.test('while the disk fails nothing is sent, and all of it when it does no more', async t => {
  const { db, store, answers, sent } = make()
  db.failure = new Error('no space')
  for (const name of ['a', 'b'])
    answers.add(change(store), () => {
      sent.push(name)
    })
  db.release()
  await waitUntil('a batch fails', () => store.isFailing)
  answers.add(0, () => {
    sent.push('c')
  })
  await waitUntil('it failed again', () => db.batches.length === 2)
  t.same(sent, [])
  db.failure = undefined
  await waitUntil('all is stored', () => store.isSettled)
  t.same(sent, ['a', 'b', 'c'])
})
