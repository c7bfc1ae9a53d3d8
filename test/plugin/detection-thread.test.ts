// The detection thread falls, and the broker stands; then it goes on where it is needed.

import t from 'tap'
import { TOPICS } from '../../src/index.js'
import { publish, subscribe } from '../decode/craft-mqtt.js'
import { from } from '../respond/watched-broker.js'
import { BROKER_VERSIONS } from '../support/brokers.js'
import { RawClient, TYPE } from '../support/raw-client.js'
import { reading, selfWatching } from './watching-itself.js'

const [, version] = BROKER_VERSIONS

t.test('a crash costs the broker nothing, and the detection starts again', async t => {
  const { broker, ids, until, learn, lines, status } = await selfWatching(t, version)
  const subscriber = await RawClient.connect(broker, { clientId: 'subscriber' }, from('192.0.2.1'))
  const publisher = await RawClient.connect(broker, { clientId: 'publisher' }, from('192.0.2.2'))
  const watcher = await RawClient.connect(broker, { clientId: 'watcher' }, from('192.0.2.3'))
  subscriber.send(subscribe(['room']))
  watcher.send(subscribe(['$SYS/broker/artemis/status']))
  await until('it learns', ({ state, records }) => state === 'learning' && records.seen > 0)
  t.equal(status().thread.restarts, 0)

  const crashed = new Promise<void>(resolve => {
    ids.on('status', report => {
      if ((report as { state: string }).state === 'crashed') resolve()
    })
  })
  await ids.restartDetection()
  await crashed
  publisher.send(publish('room', 'while it is down', { qos: 1 }))
  t.equal((await subscriber.next(TYPE.publish)).payload, 'while it is down')
  t.equal(status().thread.restarts, 1)
  t.ok(lines.some(line => line.startsWith('error the detection crashed and starts again')))
  await watcher.next(TYPE.publish, ({ payload }) => (JSON.parse(payload) as { state: string }).state === 'crashed')

  await until('it is back', ({ state }) => state === 'learning')
  publisher.send(publish('room', 'when it is back'))
  await subscriber.next(TYPE.publish, ({ payload }) => payload === 'when it is back')
  await learn([publisher])
  await until('it guards', ({ state }) => state === 'guarding')
  t.equal(status().thread.restarts, 1)
  t.equal(status().join.packetsUnknown, 0, 'those who were connected all along are known to the new thread')
  t.equal(status().ring.dropped, 0)
  const { scored = 0 } = status().records
  for (let i = 0; i < 50; i++) publisher.send(reading(i))
  await until('it scores', ({ records }) => (records.scored ?? 0) > scored)
})

t.test('what cannot be is said, and the broker serves without a detection', async t => {
  const { broker, ids, until, lines, status } = await selfWatching(t, version, { tap: { target: 'file:capture.pcap' } })
  await until('it refuses', ({ state }) => state === 'refused')
  t.match(status(), { failure: /file/, remedy: /artemis replay/ })
  t.ok(lines.some(line => line.startsWith('error no detection:')))
  const client = await RawClient.connect(broker)
  client.send(subscribe(['room']), publish('room', 'x'))
  t.equal((await client.next(TYPE.publish)).payload, 'x')
  t.equal(status().thread.restarts, 0, 'starting again would not help')

  ids.use({ tap: { target: 'none' } })
  await until('it is mended', ({ state }) => state === 'learning')
  const {
    records: { seen }
  } = status()
  client.send(publish('room', 'y'))
  await until('it sees who was connected before', ({ records }) => records.seen > seen)
})

t.test('it can be ended at any moment, and twice', async t => {
  for (const moment of ['at once', 'while it learns', 'after a crash', 'with other settings'] as const) {
    const { broker, ids, until } = await selfWatching(t, version)
    const hooks = [broker.handle, broker.authorizePublish]
    if (moment !== 'at once') await until('it learns', ({ state }) => state === 'learning')
    if (moment === 'after a crash') await ids.restartDetection()
    if (moment === 'with other settings') ids.use({ tap: { target: 'none' }, learn: { minimumRecords: 1_000 } })
    await Promise.all([ids.close(), ids.close()])
    t.notOk(
      [broker.handle, broker.authorizePublish].some((hook, i) => hook === hooks[i]),
      `${moment}: the hooks are given back`
    )
    const client = await RawClient.connect(broker)
    client.send(subscribe(['room']), publish('room', 'x'))
    t.equal((await client.next(TYPE.publish)).payload, 'x')
  }
})

t.test('other settings are told at once, and nothing that went before comes after them', async t => {
  const { broker, ids, until } = await selfWatching(t, version, { learn: { seconds: 0, minimumRecords: 1_111 } })
  const minimumOf = (status: object): number | undefined =>
    (status as { learning?: { minimumRecords: number } }).learning?.minimumRecords
  const published: (number | undefined)[] = []
  const reported: (number | undefined)[] = []
  // No client: with nothing to learn from, the new status is like the old one in all else.
  const hear = (topic: string, onMessage: (payload: string) => void): Promise<void> =>
    new Promise(resolve => {
      broker.subscribe(
        topic,
        ({ payload }, done) => {
          onMessage(payload.toString())
          done()
        },
        resolve
      )
    })
  let marked = false
  await hear(TOPICS.status, payload => {
    published.push(minimumOf(JSON.parse(payload) as object))
  })
  await hear('mark', () => {
    marked = true
  })
  await until('the first settings are told', () => published.includes(1_111))
  ids.on('status', status => {
    reported.push(minimumOf(status))
  })
  ids.use({ tap: { target: 'none' }, learn: { seconds: 0, minimumRecords: 2_222 } })
  await until('the second are in force', () => reported.includes(2_222))
  await new Promise<void>(resolve => {
    broker.publish({ cmd: 'publish', topic: 'mark', payload: '', qos: 0, retain: false, dup: false }, () => {
      resolve()
    })
  })
  await until('the mark', () => marked)
  t.ok(published.includes(2_222), 'those who have subscribed were told')
  t.ok(
    reported.every(minimum => minimum === 2_222),
    `the thread that was replaced says no more how it stands: ${reported.join(' ')}`
  )
})
