// Sessions that begin where others have ended, on a store that is slow: nothing of one gets into the other.

import t from 'tap'
import { messageOf, type Message } from '../../../broker/core/message.js'
import { Router } from '../../../broker/core/router.js'
import type { Receiver, Session } from '../../../broker/core/session.js'
import { Sessions, type SessionsOptions } from '../../../broker/core/sessions.js'
import { Store } from '../../../broker/core/store.js'
import { waitUntil } from '../../support/wait-until.js'
import { FakeDatabase } from './fake-database.js'

const CLIENT = { clientId: 'c', cleanStart: false, expiry: 60 }

/** Sessions on a database, as after a start. */
async function openSessions (db: FakeDatabase, more: Partial<SessionsOptions> = {}): Promise<{ sessions: Sessions, store: Store, unreadable: string[] }> {
  const store = new Store(db.database, { onFailed: () => {}, onRecovered: () => {} })
  const unreadable: string[] = []
  const sessions = new Sessions({
    store,
    router: new Router<Session>(),
    subscriptions: { add: () => {}, remove: () => {}, of: async () => [], clients: async function * () {} },
    queuedMessages: 1_000, queuedBytes: 1e9, maxSessions: 100, maxExpiry: 3_600,
    pace: { waits: 0, fallBehind: () => {}, keepUp: () => {}, catchUp: () => {}, acknowledge: () => {} },
    onFull: () => {}, onIdle: () => {}, onEnd: () => {}, onHandOver: () => {},
    onUnreadable: (_session, { message }) => { unreadable.push(message) },
    onLost: (_clientId, { message }) => { unreadable.push(message) },
    ...more
  })
  await sessions.restore()
  return { sessions, store, unreadable }
}

function enqueue (session: Session, ...texts: string[]): void {
  for (const text of texts) session.enqueue({ message: messageOf({ topic: 't', payload: text, qos: 1 }), qos: 1, retain: false, identifiers: Buffer.alloc(0) })
}

/** A client that takes everything and notes it. */
function receiver (got: string[]): Receiver {
  return {
    window: 1_000,
    forward: (message: Message) => message,
    send: ({ message, dup }) => {
      got.push(`${message.payload.toString()}${dup ? ' again' : ''}`)
      return true
    },
    release: () => {},
    replayed: () => {}
  }
}

t.test('a store that cannot be read for a while is read again, and not without a pause', async t => {
  const db = new FakeDatabase()
  const { sessions, store, unreadable } = await openSessions(db)
  const { session } = sessions.open(CLIENT)
  sessions.detach(session)
  enqueue(session, '1', '2')
  await store.settled()
  const { iterator } = db
  let reads = 0
  db.iterator = async function * () {
    reads++
    throw new Error('Corruption: block checksum mismatch')
    yield ['', Buffer.alloc(0)]
  }
  const got: string[] = []
  sessions.attach(sessions.open(CLIENT).session, receiver(got))
  await waitUntil('it fails', () => unreadable.length > 0)
  await new Promise(resolve => { setTimeout(resolve, 300) })
  t.ok(reads <= 2, `${reads} times in 0.3 s`)
  db.iterator = iterator
  await waitUntil('both have come', () => got.length === 2)
  t.same(got, ['1', '2'])
})
