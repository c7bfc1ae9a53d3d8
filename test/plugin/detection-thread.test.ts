// Crashes of the detection thread do not affect the broker, and the thread restarts if that can help.

import t from 'tap'
import { TOPICS } from '../../src/index.js'
import { publish, subscribe } from '../decode/craft-mqtt.js'
import { from } from '../respond/watched-broker.js'
import { BROKER_VERSIONS } from '../support/brokers.js'
import { RawClient, TYPE } from '../support/raw-client.js'
import { reading, selfWatching } from './watching-itself.js'

const [, version] = BROKER_VERSIONS

t.test('a crash does not affect the broker, and the detection restarts', async t => {
  const { broker, ids, until, learn, lines, status } = await selfWatching(t, version)
  const subscriber = await RawClient.connect(broker, { clientId: 'subscriber' }, from('192.0.2.1'))
  const publisher = await RawClient.connect(broker, { clientId: 'publisher' }, from('192.0.2.2'))
  const watcher = await RawClient.connect(broker, { clientId: 'watcher' }, from('192.0.2.3'))
  subscriber.send(subscribe(['room']))
  watcher.send(subscribe(['$SYS/broker/artemis/status']))
  await until('learning', ({ state, records }) => state === 'learning' && records.seen > 0)
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
  t.ok(lines.some(line => line.startsWith('error Detection crashed and restarts')))
  await watcher.next(TYPE.publish, ({ payload }) => (JSON.parse(payload) as { state: string }).state === 'crashed')

  await until('the restart', ({ state }) => state === 'learning')
  publisher.send(publish('room', 'when it is back'))
  await subscriber.next(TYPE.publish, ({ payload }) => payload === 'when it is back')
  await learn([publisher])
  await until('guarding', ({ state }) => state === 'guarding')
  t.equal(status().thread.restarts, 1)
  t.equal(status().join.packetsUnknown, 0, 'the new thread knows the open connections')
  t.equal(status().ring.dropped, 0)
  const { scored = 0 } = status().records
  for (let i = 0; i < 50; i++) publisher.send(reading(i))
  await until('scored records', ({ records }) => (records.scored ?? 0) > scored)
})

t.test('an invalid setting is reported, and the broker runs without detection', async t => {
  const { broker, ids, until, lines, status } = await selfWatching(t, version, { tap: { target: 'file:capture.pcap' } })
  await until('the refusal', ({ state }) => state === 'refused')
  t.match(status(), { failure: /file/, remedy: /artemis replay/ })
  t.ok(lines.some(line => line.startsWith('error Detection is off:')))
  const client = await RawClient.connect(broker)
  client.send(subscribe(['room']), publish('room', 'x'))
  t.equal((await client.next(TYPE.publish)).payload, 'x')
  t.equal(status().thread.restarts, 0, 'a restart would not help')

  ids.use({ tap: { target: 'none' } })
  await until('the new settings', ({ state }) => state === 'learning')
  const {
    records: { seen }
  } = status()
  client.send(publish('room', 'y'))
  await until('records of a connection that was already open', ({ records }) => records.seen > seen)
})

t.test('it can be closed at any time, and twice', async t => {
  for (const time of ['at once', 'while it learns', 'after a crash', 'with other settings'] as const) {
    const { broker, ids, until } = await selfWatching(t, version)
    const hooks = [broker.handle, broker.authorizePublish]
    if (time !== 'at once') await until('learning', ({ state }) => state === 'learning')
    if (time === 'after a crash') await ids.restartDetection()
    if (time === 'with other settings') ids.use({ tap: { target: 'none' }, learn: { minimumRecords: 1_000 } })
    await Promise.all([ids.close(), ids.close()])
    t.notOk(
      [broker.handle, broker.authorizePublish].some((hook, i) => hook === hooks[i]),
      `${time}: the hooks are restored`
    )
    const client = await RawClient.connect(broker)
    client.send(subscribe(['room']), publish('room', 'x'))
    t.equal((await client.next(TYPE.publish)).payload, 'x')
  }
})

t.test('new settings are reported at once, and no older status follows them', async t => {
  const { broker, ids, until } = await selfWatching(t, version, { learn: { seconds: 0, minimumRecords: 1_111 } })
  const minimumOf = (status: object): number | undefined =>
    (status as { learning?: { minimumRecords: number } }).learning?.minimumRecords
  const published: (number | undefined)[] = []
  const reported: (number | undefined)[] = []
  // Without a client there are no records, so the new status differs only in the settings.
  const subscribeTo = (topic: string, onMessage: (payload: string) => void): Promise<void> =>
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
  await subscribeTo(TOPICS.status, payload => {
    published.push(minimumOf(JSON.parse(payload) as object))
  })
  await subscribeTo('mark', () => {
    marked = true
  })
  await until('the first settings', () => published.includes(1_111))
  ids.on('status', status => {
    reported.push(minimumOf(status))
  })
  ids.use({ tap: { target: 'none' }, learn: { seconds: 0, minimumRecords: 2_222 } })
  await until('the second settings', () => reported.includes(2_222))
  await new Promise<void>(resolve => {
    broker.publish({ cmd: 'publish', topic: 'mark', payload: '', qos: 0, retain: false, dup: false }, () => {
      resolve()
    })
  })
  await until('the mark', () => marked)
  t.ok(published.includes(2_222), 'the new status was published')
  t.ok(
    reported.every(minimum => minimum === 2_222),
    `the replaced thread reports no status: ${reported.join(' ')}`
  )
})
