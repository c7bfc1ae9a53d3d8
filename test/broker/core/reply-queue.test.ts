// Acknowledgements are sent in order, and only after their batch is stored.

import t from 'tap'
import { ReplyQueue } from '../../../broker/core/reply-queue.js'
import { Store } from '../../../broker/core/store.js'
import { waitUntil } from '../../support/wait-until.js'
import { FakeDatabase } from './fake-database.js'

function setup(): { db: FakeDatabase; store: Store; replies: ReplyQueue; sent: string[]; released: () => number } {
  const db = new FakeDatabase()
  db.hold()
  const store = new Store(db.database, { onFailed: () => {}, onRecovered: () => {} })
  let released = 0
  return {
    db,
    store,
    replies: new ReplyQueue(store, () => {
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

t.test('a reply without a batch, or with a stored one, is sent at once', async t => {
  const { db, store, replies, sent, released } = setup()
  replies.add(0, () => {
    sent.push('a')
  })
  t.same(sent, ['a'])
  const batch = change(store)
  await waitUntil('a batch', () => db.isHolding)
  db.release()
  await store.settled()
  replies.add(batch, () => {
    sent.push('b')
  })
  t.same([sent, replies.length, released()], [['a', 'b'], 0, 0])
})

t.test('replies wait for the store, and later replies for them [MQTT-4.6.0-2]', async t => {
  const { db, store, replies, sent, released } = setup()
  const add = (name: string, batch: number): void => {
    replies.add(batch, () => {
      sent.push(`${name} ${store.stored}`)
    })
  }
  add('a', change(store))
  add('b', 0)
  await waitUntil('a batch', () => db.isHolding)
  add('c', change(store))
  add('d', 1)
  t.same([sent, replies.length], [[], 4])
  db.release(true)
  await waitUntil('the next', () => db.isHolding)
  t.same([sent.splice(0), replies.length, released()], [['a 1', 'b 1'], 2, 1])
  add('e', 0)
  db.release()
  await store.settled()
  t.same([sent, replies.length, released()], [['c 2', 'd 2', 'e 2'], 0, 2])
  add('f', 0)
  t.equal(sent.at(-1), 'f 2')
})

t.test('a batch that releases no reply does not call back', async t => {
  const { db, store, replies, sent, released } = setup()
  change(store)
  await waitUntil('a batch', () => db.isHolding)
  replies.add(change(store), () => {
    sent.push('a')
  })
  db.release(true)
  await waitUntil('the next', () => db.isHolding)
  t.same([sent, released()], [[], 0])
  db.release()
  await store.settled()
  t.same([sent, released()], [['a'], 1])
})

t.test('a reply added while others are sent is sent after them', async t => {
  const { db, store, replies, sent } = setup()
  replies.add(change(store), () => {
    sent.push('a')
    replies.add(0, () => {
      sent.push('c')
    })
  })
  replies.add(0, () => {
    sent.push('b')
  })
  db.release()
  await store.settled()
  t.same([sent, replies.length], [['a', 'b', 'c'], 0])
})

t.test('nothing is sent after close, also if closed while sending', async t => {
  const { db, store, replies, sent, released } = setup()
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
  replies.add(change(store), () => {
    sent.push('a')
  })
  t.equal(watchers, 1)
  replies.close()
  t.equal(watchers, 0, 'store not watched')
  await waitUntil('a batch', () => db.isHolding)
  db.release()
  await store.settled()
  t.same([sent, replies.length, released()], [[], 0, 0])
  db.hold()
  replies.add(change(store), () => {
    sent.push('b')
    replies.close()
  })
  replies.add(0, () => {
    sent.push('c')
  })
  await waitUntil('a batch', () => db.isHolding)
  db.release()
  await store.settled()
  t.same([sent, replies.length, watchers], [['b'], 0, 0])
})

t.test('nothing is sent while the disk fails, everything after recovery', async t => {
  const { db, store, replies, sent } = setup()
  db.failure = new Error('no space')
  for (const name of ['a', 'b'])
    replies.add(change(store), () => {
      sent.push(name)
    })
  db.release()
  await waitUntil('a batch fails', () => store.isFailing)
  replies.add(0, () => {
    sent.push('c')
  })
  await waitUntil('it failed again', () => db.batches.length === 2)
  t.same(sent, [])
  db.failure = undefined
  await waitUntil('all is stored', () => store.isSettled)
  t.same(sent, ['a', 'b', 'c'])
})
