// Names that every JavaScript object already has are names like any other: of filters, topics and clients.

import t, { type Test } from 'tap'
import { CARRIERS, startCarried, type Carrier } from './carriers.js'
import { SessionClient, type Version } from './session-client.js'
import { onEveryWay, RETURNS, type Way } from './ways.js'

const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf']
const OTHER: Readonly<Record<Version, Version>> = { 4: 5, 5: 4 }

/** The filters of a session each: such names alone and beside others. */
function filterSets(way: Way): string[][] {
  return [['__proto__'], ['__proto__', way.name('plain')], ['constructor', '__proto__'], [...NAMES, way.name('plain')]]
}

async function openSessions(test: Test, way: Way): Promise<SessionClient[]> {
  return await Promise.all(
    filterSets(way).map(async (filters, index) => {
      const client = await way.connect({ clientId: way.name(`session ${index}`), acknowledges: true })
      await client.watch()
      test.same(
        await client.subscribe(filters.map(filter => [filter, 1])),
        filters.map(() => 1)
      )
      return client
    })
  )
}

/** Publishes to all of these topics what only this way knows: the ways share the names. */
async function publishToAll(way: Way, retain = false): Promise<void> {
  const publisher = await way.visitor('publisher')
  for (const topic of [...NAMES, way.name('plain')]) await publisher.publish(topic, way.name(''), { retain })
  await publisher.leave()
}

/** Where that arrived. */
async function arrived(way: Way, client: SessionClient): Promise<string[]> {
  return (await client.caughtUp())
    .filter(({ payload }) => payload.toString() === way.name(''))
    .map(({ topic }) => topic)
    .sort()
}

for (const how of RETURNS) {
  onEveryWay(`either version takes up a session with such filters after ${how}`, async (t, way) => {
    let clients = await openSessions(t, way)
    for (const version of [OTHER[way.version], way.version]) {
      clients = await way.backAll(clients, how, { version })
      await publishToAll(way)
      for (const [index, filters] of filterSets(way).entries()) {
        t.equal(clients[index]?.sessionPresent, true)
        t.same(await arrived(way, clients[index]), filters.toSorted(), `session ${index}`)
      }
    }
  })
}

onEveryWay('messages to such topics wait for a session that is away, also over a kill', async (t, way) => {
  const clients = await openSessions(t, way)
  for (const client of clients) await client.leave()
  await publishToAll(way)
  const back = await way.backAll(clients, 'a restart', { version: OTHER[way.version] })
  for (const [index, filters] of filterSets(way).entries()) {
    t.same(await arrived(way, back[index]), filters.toSorted(), `session ${index}`)
  }
})

onEveryWay('UNSUBSCRIBE takes such a filter away, and leaves the others', async (t, way) => {
  const [client] = (await openSessions(t, way)).slice(-1) as [SessionClient]
  await client.unsubscribe('__proto__')
  const back = await way.back(client, 'a restart')
  await publishToAll(way)
  t.same(await arrived(way, back), [...NAMES, way.name('plain')].filter(name => name !== '__proto__').sort())
})

t.test('messages of such topics are retained', async t => {
  const folder = t.testdir({})
  let broker = await startCarried(t, folder)
  const publisher = await SessionClient.connect(await broker.open('TCP'), { clientId: 'publisher', clean: true })
  for (const topic of NAMES) await publisher.publish(topic, 'kept', { retain: true })
  for (const when of ['at once', 'after a kill']) {
    for (const filters of [NAMES, ['#'], ['+']]) {
      const reader = await SessionClient.connect(await broker.open('TCP'), {
        clientId: 'reader',
        clean: true,
        version: 5
      })
      await reader.subscribe(filters.map(filter => [filter, 0]))
      t.same(
        (await reader.messages(NAMES.length)).map(({ topic }) => topic).sort(),
        NAMES.toSorted(),
        `${filters.join()} ${when}`
      )
      await reader.leave()
    }
    if (when !== 'at once') break
    await broker.stop('SIGKILL')
    broker = await startCarried(t, folder)
  }
})

for (const version of [4, 5] as const) {
  t.test(`clients of such names have sessions, takeovers and wills, MQTT ${version}`, async t => {
    const folder = t.testdir({})
    let broker = await startCarried(t, folder)
    const connect = async (clientId: string, clean = false, carrier: Carrier = 'TCP'): Promise<SessionClient> =>
      await SessionClient.connect(await broker.open(carrier), {
        clientId,
        version,
        clean,
        acknowledges: true,
        will: { topic: `wills/${clientId}`, payload: 'gone', qos: 1 }
      })
    const watcher = await connect('watcher', true)
    await watcher.subscribe([['wills/#', 1]])
    for (const [index, clientId] of NAMES.entries()) {
      const first = await connect(clientId, false, CARRIERS[index % CARRIERS.length])
      t.equal(first.sessionPresent, false, clientId)
      await first.watch()
      await first.subscribe([[`to/${clientId}`, 1]])
      const second = await connect(clientId)
      await first.whenClosed()
      await second.vanish()
      await watcher.next('publish', ({ topic }) => topic === `wills/${clientId}`)
      await watcher.publish(`to/${clientId}`, 'waits')
    }
    await broker.stop('SIGKILL')
    broker = await startCarried(t, folder)
    for (const clientId of NAMES) {
      const client = await connect(clientId)
      t.equal(client.sessionPresent, true, `${clientId} after a kill`)
      t.same(
        (await client.caughtUp()).map(({ topic }) => topic),
        [`to/${clientId}`]
      )
      await client.leave()
      t.equal((await connect(clientId, true)).sessionPresent, false)
    }
  })
}
