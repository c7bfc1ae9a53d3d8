// Sessions that begin where others have ended, on a store that is slow: nothing of one gets into the other.

import t from 'tap'
import { messageOf, type Message } from '../../../broker/core/message.js'
import { decodeSent, keyOf, SENT, type QueuedRecord } from '../../../broker/core/records.js'
import { Router } from '../../../broker/core/router.js'
import type { Receiver, Session } from '../../../broker/core/session.js'
import { Sessions, type SessionsOptions } from '../../../broker/core/sessions.js'
import { Store } from '../../../broker/core/store.js'
import { waitUntil } from '../../support/wait-until.js'
import { FakeDatabase } from './fake-database.js'

const CLIENT = { clientId: 'c', cleanStart: false, expiry: 60 }

/** Sessions on a database, as after a start. */
async function openSessions(
  db: FakeDatabase,
  more: Partial<SessionsOptions> = {}
): Promise<{ sessions: Sessions; store: Store; unreadable: string[] }> {
  const store = new Store(db.database, { onFailed: () => {}, onRecovered: () => {} })
  const unreadable: string[] = []
  const sessions = new Sessions({
    store,
    router: new Router<Session>(),
    subscriptions: { add: () => {}, remove: () => {}, of: async () => [], clients: async function* () {} },
    queuedMessages: 1_000,
    queuedBytes: 1e9,
    maxSessions: 100,
    maxExpiry: 3_600,
    backpressure: { waits: 0, fallBehind: () => {}, keepUp: () => {}, catchUp: () => {}, acknowledge: () => {} },
    onFull: () => {},
    onIdle: () => {},
    onEnd: () => {},
    onHandOver: () => {},
    onUnreadable: (_session, { message }) => {
      unreadable.push(message)
    },
    onUnavailable: (_session, { message }) => {
      unreadable.push(message)
    },
    onLost: (_clientId, { message }) => {
      unreadable.push(message)
    },
    ...more
  })
  await sessions.restore()
  return { sessions, store, unreadable }
}

function enqueue(session: Session, ...texts: string[]): void {
  for (const text of texts)
    session.enqueue({
      message: messageOf({ topic: 't', payload: text, qos: 1 }),
      qos: 1,
      retain: false,
      identifiers: Buffer.alloc(0)
    })
}

/** A client that takes everything and notes it. */
function receiver(got: string[]): Receiver {
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

for (const how of ['its time is over', 'its client begins anew'] as const) {
  t.test(`a session gets its own messages alone where another of its name has just ended since ${how}`, async t => {
    for (const isSlow of [false, true]) {
      const db = new FakeDatabase()
      const { sessions, store } = await openSessions(db)
      const { session: old } = sessions.open(CLIENT)
      sessions.detach(old)
      enqueue(old, 'old 1', 'old 2', 'old 3')
      await store.settled()
      if (isSlow) {
        // Another batch is on its way: the end of the one and the beginning of the other come with the next.
        db.hold()
        store.put('other', Buffer.from('x'))
        await waitUntil('a batch', () => db.isHolding)
      }
      if (how === 'its time is over') sessions.end(old)
      const { session, isPresent } = sessions.open({ ...CLIENT, cleanStart: how === 'its client begins anew' })
      t.notOk(isPresent)
      sessions.detach(session)
      enqueue(session, 'new 1', 'new 2')
      db.release()
      await waitUntil(
        'the old ones are gone',
        () => db.batches.flat().filter(change => change.startsWith('-artemis:queue:')).length >= 3
      )
      await store.settled()
      const again = await openSessions(db)
      t.same(again.sessions.counts.messages, 2)
      const got: string[] = []
      again.sessions.attach(again.sessions.open(CLIENT).session, receiver(got))
      await waitUntil('both have come', () => got.length >= 2)
      t.same(got, ['new 1', 'new 2'])
    }
  })

  t.test(`the same where the broker is killed at any moment of it, and it ended since ${how}`, async t => {
    const run = async (db: FakeDatabase, lives: number): Promise<void> => {
      const { sessions, store } = await openSessions(db)
      const { session: old } = sessions.open(CLIENT)
      sessions.detach(old)
      enqueue(old, 'old 1', 'old 2', 'old 3')
      await store.settled()
      const { batch } = db
      let left = lives
      db.batch = async (...args) => {
        if (left-- <= 0) await new Promise(() => {})
        await batch.apply(db, args)
      }
      if (how === 'its time is over') sessions.end(old)
      const { session } = sessions.open({ ...CLIENT, cleanStart: how === 'its client begins anew' })
      sessions.detach(session)
      enqueue(session, 'new 1')
      await waitUntil('the kill', () => left < 0 || store.isSettled)
    }
    for (const lives of [0, 1, 2]) {
      const db = new FakeDatabase()
      await run(db, lives)
      const after = new FakeDatabase()
      for (const [key, value] of db.data) after.data.set(key, value)
      const { sessions } = await openSessions(after)
      const got: string[] = []
      const { session } = sessions.open(CLIENT)
      const { messages } = session.waiting
      sessions.attach(session, receiver(got))
      await waitUntil('all have come', () => got.length >= messages)
      t.same(got, lives === 0 ? ['old 1', 'old 2', 'old 3'] : ['new 1'], `after ${lives} batches`)
    }
  })
}

for (const how of ['live', 'queued'] as const) {
  t.test(`a QoS 2 message is stored and marked as sent before it is sent, ${how} [MQTT-3.3.1-1]`, async t => {
    const db = new FakeDatabase()
    const { sessions, store } = await openSessions(db)
    const { session } = sessions.open(CLIENT)
    const got: string[] = []
    const marks: number[] = []
    const client: Receiver = {
      ...receiver(got),
      window: 2,
      send: delivery => {
        marks.push(decodeSent(db.data.get(keyOf(SENT, CLIENT.clientId)) ?? Buffer.alloc(8)))
        return receiver(got).send(delivery)
      }
    }
    if (how === 'live') sessions.attach(session, client)
    else sessions.detach(session)
    for (const payload of ['1', '2', '3'])
      session.enqueue({
        message: messageOf({ topic: 't', payload, qos: 2 }),
        qos: 2,
        retain: false,
        identifiers: Buffer.alloc(0)
      })
    t.same(got, [])
    await store.settled()
    if (how === 'queued') sessions.attach(session, client)
    await waitUntil('two are sent', () => got.length === 2)
    t.same(got, ['1', '2'], 'without DUP, and as many as the window has room for')
    t.ok(marks[0] >= 1 && marks[1] >= 2, `marked up to ${marks.join(' and ')}`)
    const after = new FakeDatabase()
    for (const [key, value] of db.data) after.data.set(key, value)
    const again = await openSessions(after)
    const anew: string[] = []
    again.sessions.attach(again.sessions.open(CLIENT).session, receiver(anew))
    await waitUntil('all are sent', () => anew.length === 3)
    t.same(anew, ['1 again', '2 again', '3'])
  })
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
  const start = performance.now()
  db.iterator = async function* () {
    reads++
    throw new Error('Corruption: block checksum mismatch')
    yield ['', Buffer.alloc(0)]
  }
  const got: string[] = []
  let replays = 0
  sessions.attach(sessions.open(CLIENT).session, {
    ...receiver(got),
    replayed: () => {
      replays++
    }
  })
  await waitUntil('it fails', () => unreadable.length > 0)
  t.ok(replays > 0, 'its client is read meanwhile')
  t.notOk(session.isReplaying)
  await waitUntil('another try', () => reads > 1)
  t.ok(performance.now() - start > 900, 'after a second')
  t.equal(unreadable.length, 1, 'reported once')
  db.iterator = iterator
  await waitUntil('both have come', () => got.length === 2)
  t.same(got, ['1', '2'])
})

t.test(
  'messages of a share that its member leaves behind are handed over once, and those of its next session are not',
  async t => {
    const db = new FakeDatabase()
    const handed: string[] = []
    const { sessions, store } = await openSessions(db, {
      onHandOver: (share: string, { message }: QueuedRecord) => {
        handed.push(`${share} ${message.payload.toString()}`)
      }
    })
    const shared = (text: string): Session => {
      const { session } = sessions.open(CLIENT)
      sessions.subscribe(session, {
        filter: '$share/g/t',
        qos: 1,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: 0,
        identifier: undefined
      })
      sessions.detach(session)
      session.enqueue({
        message: messageOf({ topic: 't', payload: text, qos: 1 }),
        qos: 1,
        retain: false,
        identifiers: Buffer.alloc(0),
        share: '$share/g/t'
      })
      return session
    }
    const session = shared('old')
    enqueue(session, 'own')
    await store.settled()
    // One batch is on its way, and all of this comes with the next.
    db.hold()
    store.put('other', Buffer.from('x'))
    await waitUntil('a batch', () => db.isHolding)
    store.put('another', Buffer.from('x'))
    sessions.end(session)
    const next = shared('new')
    db.release()
    await waitUntil('it is handed over', () => handed.length > 0)
    await waitUntil(
      'only that of the next session is left',
      () => [...db.data.keys()].filter(key => key.startsWith('artemis:queue:')).length === 1
    )
    t.same(handed, ['$share/g/t old'])
    sessions.end(next)
    await waitUntil('it is handed over too', () => handed.length > 1)
    await waitUntil('nothing is left', () => ![...db.data.keys()].some(key => key.startsWith('artemis:')))
    t.same(handed, ['$share/g/t old', '$share/g/t new'])
  }
)
