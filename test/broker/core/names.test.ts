// Names of built-in object properties work as filters, topics and client ids.

import t, { type Test } from 'tap'
import { TRANSPORTS, startOnAllTransports, type Transport } from './transports.js'
import { SessionClient, type Version } from './session-client.js'
import { onEachTransport, RECONNECTS, type Variant } from './variants.js'

const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf']
const OTHER: Readonly<Record<Version, Version>> = { 4: 5, 5: 4 }

/** Filters of each session: such names alone and with others. */
function filterSets(variant: Variant): string[][] {
  return [
    ['__proto__'],
    ['__proto__', variant.name('plain')],
    ['constructor', '__proto__'],
    [...NAMES, variant.name('plain')]
  ]
}

async function openSessions(test: Test, variant: Variant): Promise<SessionClient[]> {
  return await Promise.all(
    filterSets(variant).map(async (filters, index) => {
      const client = await variant.connect({ clientId: variant.name(`session ${index}`), acknowledges: true })
      await client.subscribeMarker()
      test.same(
        await client.subscribe(filters.map(filter => [filter, 1])),
        filters.map(() => 1)
      )
      return client
    })
  )
}

/** Publishes to all these topics, with a payload that identifies this variant: the variants share the topics. */
async function publishToAll(variant: Variant, retain = false): Promise<void> {
  const publisher = await variant.connectClean('publisher')
  for (const topic of [...NAMES, variant.name('plain')]) await publisher.publish(topic, variant.name(''), { retain })
  await publisher.disconnect()
}

/** Returns the topics of messages that arrived from this variant. */
async function arrived(variant: Variant, client: SessionClient): Promise<string[]> {
  return (await client.messagesSoFar())
    .filter(({ payload }) => payload.toString() === variant.name(''))
    .map(({ topic }) => topic)
    .sort()
}

for (const how of RECONNECTS) {
  onEachTransport(`both versions resume a session with such filters after ${how}`, async (t, variant) => {
    let clients = await openSessions(t, variant)
    for (const version of [OTHER[variant.version], variant.version]) {
      clients = await variant.reconnectAll(clients, how, { version })
      await publishToAll(variant)
      for (const [index, filters] of filterSets(variant).entries()) {
        t.equal(clients[index]?.sessionPresent, true)
        t.same(await arrived(variant, clients[index]), filters.toSorted(), `session ${index}`)
      }
    }
  })
}

onEachTransport('messages to such topics are queued for an offline client, also over a kill', async (t, variant) => {
  const clients = await openSessions(t, variant)
  for (const client of clients) await client.disconnect()
  await publishToAll(variant)
  const back = await variant.reconnectAll(clients, 'a restart', { version: OTHER[variant.version] })
  for (const [index, filters] of filterSets(variant).entries()) {
    t.same(await arrived(variant, back[index]), filters.toSorted(), `session ${index}`)
  }
})

onEachTransport('UNSUBSCRIBE removes only its filter', async (t, variant) => {
  const [client] = (await openSessions(t, variant)).slice(-1) as [SessionClient]
  await client.unsubscribe('__proto__')
  const back = await variant.reconnect(client, 'a restart')
  await publishToAll(variant)
  t.same(await arrived(variant, back), [...NAMES, variant.name('plain')].filter(name => name !== '__proto__').sort())
})

t.test('messages to such topics are retained', async t => {
  const folder = t.testdir({})
  let broker = await startOnAllTransports(t, folder)
  const publisher = await SessionClient.connect(await broker.open('TCP'), { clientId: 'publisher', clean: true })
  for (const topic of NAMES) await publisher.publish(topic, 'kept', { retain: true })
  for (const when of ['before a kill', 'after a kill']) {
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
      await reader.disconnect()
    }
    if (when !== 'before a kill') break
    await broker.stop('SIGKILL')
    broker = await startOnAllTransports(t, folder)
  }
})

for (const version of [4, 5] as const) {
  t.test(`sessions, takeovers and wills of clients with such ids, MQTT ${version}`, async t => {
    const folder = t.testdir({})
    let broker = await startOnAllTransports(t, folder)
    const connect = async (clientId: string, clean = false, transport: Transport = 'TCP'): Promise<SessionClient> =>
      await SessionClient.connect(await broker.open(transport), {
        clientId,
        version,
        clean,
        acknowledges: true,
        will: { topic: `wills/${clientId}`, payload: 'gone', qos: 1 }
      })
    const watcher = await connect('watcher', true)
    await watcher.subscribe([['wills/#', 1]])
    for (const [index, clientId] of NAMES.entries()) {
      const first = await connect(clientId, false, TRANSPORTS[index % TRANSPORTS.length])
      t.equal(first.sessionPresent, false, clientId)
      await first.subscribeMarker()
      await first.subscribe([[`to/${clientId}`, 1]])
      const second = await connect(clientId)
      await first.whenClosed()
      await second.destroy()
      await watcher.next('publish', ({ topic }) => topic === `wills/${clientId}`)
      await watcher.publish(`to/${clientId}`, 'waits')
    }
    await broker.stop('SIGKILL')
    broker = await startOnAllTransports(t, folder)
    for (const clientId of NAMES) {
      const client = await connect(clientId)
      t.equal(client.sessionPresent, true, `${clientId} after a kill`)
      t.same(
        (await client.messagesSoFar()).map(({ topic }) => topic),
        [`to/${clientId}`]
      )
      await client.disconnect()
      t.equal((await connect(clientId, true)).sessionPresent, false)
    }
  })
}
