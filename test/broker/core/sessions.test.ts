// New sessions after ended ones with the same client id, on a slow store: they share no messages.

import t from 'tap'
import { messageOf, type Message } from '../../../broker/core/message.js'
import { decodeSent, keyOf, SENT, type QueuedRecord } from '../../../broker/core/records.js'
import { Router } from '../../../broker/core/router.js'
import type { Session } from '../../../broker/core/session.js'
import type { Receiver } from '../../../broker/core/session-queue.js'
import { Sessions, type SessionsOptions } from '../../../broker/core/sessions.js'
import { Store } from '../../../broker/core/store.js'
import { waitUntil } from '../../support/wait-until.js'
import { FakeDatabase } from './fake-database.js'

const CLIENT = { clientId: 'c', cleanStart: false, expiry: 60 }

/** Restores the sessions of a database. */
async function openSessions(
  db: FakeDatabase,
  more: Partial<SessionsOptions> = {}
): Promise<{ sessions: Sessions; store: Store; unreadable: string[] }> {
  const store = new Store(db.database, { onFailed: () => {}, onRecovered: () => {} })
  const unreadable: string[] = []
  const sessions = new Sessions({
    store,
    router: new Router<Session>(),
    subscriptions: { add: () => {}, remove: () => {}, get: async () => [], clients: async function* () {} },
    queuedMessages: 1_000,
    queuedBytes: 1e9,
    maxSessions: 100,
    maxExpiry: 3_600,
    backpressure: { queuedCount: 0, fallBehind: () => {}, keepUp: () => {}, catchUp: () => {}, acknowledge: () => {} },
    onFull: () => {},
    onIdle: () => {},
    onEnd: () => {},
    onRedispatch: () => {},
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
    session.queue.enqueue({
      message: messageOf({ topic: 't', payload: text, qos: 1 }),
      qos: 1,
      retain: false,
      identifiers: Buffer.alloc(0)
    })
}

/** Creates a client that receives and records everything. */
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

for (const how of ['expiry', 'Clean Start'] as const) {
  t.test(`a session gets only its own messages after an earlier session has ended by ${how}`, async t => {
    for (const isSlow of [false, true]) {
      const db = new FakeDatabase()
      const { sessions, store } = await openSessions(db)
      const { session: old } = sessions.open(CLIENT)
      sessions.detach(old)
      enqueue(old, 'old 1', 'old 2', 'old 3')
      await store.settled()
      if (isSlow) {
        // While a batch is being written, both changes go to the next one.
        db.hold()
        store.put('other', Buffer.from('x'))
        await waitUntil('a batch', () => db.isHolding)
      }
      if (how === 'expiry') sessions.end(old)
      const { session, isPresent } = sessions.open({ ...CLIENT, cleanStart: how === 'Clean Start' })
      t.notOk(isPresent)
      sessions.detach(session)
      enqueue(session, 'new 1', 'new 2')
      db.release()
      await waitUntil(
        'the old messages are removed',
        () => db.batches.flat().filter(change => change.startsWith('-artemis:queue:')).length >= 3
      )
      await store.settled()
      const again = await openSessions(db)
      t.same(again.sessions.counts.messages, 2)
      const got: string[] = []
      again.sessions.attach(again.sessions.open(CLIENT).session, receiver(got))
      await waitUntil('both messages', () => got.length >= 2)
      t.same(got, ['new 1', 'new 2'])
    }
  })

  t.test(`the same with a kill at any point, ended by ${how}`, async t => {
    const run = async (db: FakeDatabase, maxBatches: number): Promise<void> => {
      const { sessions, store } = await openSessions(db)
      const { session: old } = sessions.open(CLIENT)
      sessions.detach(old)
      enqueue(old, 'old 1', 'old 2', 'old 3')
      await store.settled()
      const { batch } = db
      let left = maxBatches
      db.batch = async (...args) => {
        if (left-- <= 0) await new Promise(() => {})
        await batch.apply(db, args)
      }
      if (how === 'expiry') sessions.end(old)
      const { session } = sessions.open({ ...CLIENT, cleanStart: how === 'Clean Start' })
      sessions.detach(session)
      enqueue(session, 'new 1')
      await waitUntil('the kill', () => left < 0 || store.isSettled)
    }
    for (const maxBatches of [0, 1, 2]) {
      const db = new FakeDatabase()
      await run(db, maxBatches)
      const after = new FakeDatabase()
      for (const [key, value] of db.data) after.data.set(key, value)
      const { sessions } = await openSessions(after)
      const got: string[] = []
      const { session } = sessions.open(CLIENT)
      const { messages } = session.queue.size
      sessions.attach(session, receiver(got))
      await waitUntil('all messages', () => got.length >= messages)
      t.same(got, maxBatches === 0 ? ['old 1', 'old 2', 'old 3'] : ['new 1'], `after ${maxBatches} batches`)
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
      session.queue.enqueue({
        message: messageOf({ topic: 't', payload, qos: 2 }),
        qos: 2,
        retain: false,
        identifiers: Buffer.alloc(0)
      })
    t.same(got, [])
    await store.settled()
    if (how === 'queued') sessions.attach(session, client)
    await waitUntil('two are sent', () => got.length === 2)
    t.same(got, ['1', '2'], 'without DUP, within the window')
    t.ok(marks[0] >= 1 && marks[1] >= 2, `marked up to ${marks.join(' and ')}`)
    const after = new FakeDatabase()
    for (const [key, value] of db.data) after.data.set(key, value)
    const again = await openSessions(after)
    const resent: string[] = []
    again.sessions.attach(again.sessions.open(CLIENT).session, receiver(resent))
    await waitUntil('all are sent', () => resent.length === 3)
    t.same(resent, ['1 again', '2 again', '3'])
  })
}

for (const how of ['live', 'queued'] as const) {
  t.test(`every QoS 2 message of a full window is marked as sent before it is sent, ${how}`, async t => {
    const db = new FakeDatabase()
    const { sessions, store } = await openSessions(db)
    const { session } = sessions.open(CLIENT)
    const unmarked: number[] = []
    let sent = 0
    const client: Receiver = {
      ...receiver([]),
      window: 20,
      send: ({ packetId }) => {
        sent++
        const mark = db.data.get(keyOf(SENT, CLIENT.clientId))
        if (mark === undefined || decodeSent(mark) < sent) unmarked.push(sent)
        // Not all at once, so that the window is partly full whenever there is room again.
        setTimeout(() => {
          session.queue.receive(packetId)
          session.queue.complete(packetId)
        }, sent % 7)
        return true
      }
    }
    if (how === 'live') sessions.attach(session, client)
    else sessions.detach(session)
    for (let number = 1; number <= 200; number++)
      session.queue.enqueue({
        message: messageOf({ topic: 't', payload: String(number), qos: 2 }),
        qos: 2,
        retain: false,
        identifiers: Buffer.alloc(0)
      })
    await store.settled()
    if (how === 'queued') sessions.attach(session, client)
    await waitUntil('all are sent', () => sent === 200)
    t.same(unmarked, [])
  })
}

t.test('reading is retried every second if the store cannot be read', async t => {
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
  await waitUntil('a failure', () => unreadable.length > 0)
  t.ok(replays > 0, 'the client is served in the meantime')
  t.notOk(session.queue.isReplaying)
  await waitUntil('a retry', () => reads > 1)
  t.ok(performance.now() - start > 900, 'after a second')
  t.equal(unreadable.length, 1, 'reported once')
  db.iterator = iterator
  await waitUntil('both messages', () => got.length === 2)
  t.same(got, ['1', '2'])
})

t.test('shared messages of an ended session are redispatched once, and those of its next session are not', async t => {
  const db = new FakeDatabase()
  const redispatched: string[] = []
  const { sessions, store } = await openSessions(db, {
    onRedispatch: (share: string, { message }: QueuedRecord) => {
      redispatched.push(`${share} ${message.payload.toString()}`)
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
    session.queue.enqueue({
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
  // While a batch is being written, all changes go to the next one.
  db.hold()
  store.put('other', Buffer.from('x'))
  await waitUntil('a batch', () => db.isHolding)
  store.put('another', Buffer.from('x'))
  sessions.end(session)
  const next = shared('new')
  db.release()
  await waitUntil('the message is redispatched', () => redispatched.length > 0)
  await waitUntil(
    'only the message of the next session is left',
    () => [...db.data.keys()].filter(key => key.startsWith('artemis:queue:')).length === 1
  )
  t.same(redispatched, ['$share/g/t old'])
  sessions.end(next)
  await waitUntil('the other one too', () => redispatched.length > 1)
  await waitUntil('nothing is left', () => ![...db.data.keys()].some(key => key.startsWith('artemis:')))
  t.same(redispatched, ['$share/g/t old', '$share/g/t new'])
})
