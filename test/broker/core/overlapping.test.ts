// A message that several filters of a session match: one copy, the highest QoS, all subscription identifiers.

import type { IPublishPacket } from 'mqtt-packet'
import type { Filter, SessionClient } from './session-client.js'
import { onEveryWay, RETURNS, type Way } from './ways.js'

interface Subscription {
  id: number
  filter: Filter
}

/** The subscriptions of a session to `TOPIC/t`, in every order in which they can be made. */
function orders(topic: string): Subscription[][] {
  const [a, b, c]: Subscription[] = [
    { id: 1, filter: [`${topic}/+`, 0] },
    { id: 2, filter: [`${topic}/#`, 1] },
    { id: 3, filter: [`${topic}/t`, 2] }
  ]
  return [
    [a, b, c],
    [a, c, b],
    [b, a, c],
    [b, c, a],
    [c, a, b],
    [c, b, a]
  ]
}

/** A client for each order. */
async function subscribeAll(way: Way, clean = false): Promise<SessionClient[]> {
  return await Promise.all(
    orders(way.name('o')).map(async (subscriptions, index) => {
      const client = await way.connect({ clientId: way.name(`client ${index}`), clean, acknowledges: true })
      await client.watch()
      for (const { id, filter } of subscriptions) await client.subscribe([filter], id)
      return client
    })
  )
}

async function publishAll(way: Way): Promise<void> {
  const publisher = await way.visitor('publisher')
  for (const qos of [0, 1, 2] as const) await publisher.publish(way.name('o/t'), `at ${qos}`, { qos })
  await publisher.leave()
}

/** A message with its QoS and its identifiers. */
function shown(way: Way, { payload, qos, properties }: IPublishPacket): string {
  const ids = [properties?.subscriptionIdentifier ?? []].flat().sort()
  return `${payload.toString()}: ${qos}${way.version === 5 ? `, ids ${ids.join()}` : ''}`
}

function due(way: Way, qos: readonly number[] = [0, 1, 2]): string[] {
  return qos.map(one => `at ${one}: ${one}${way.version === 5 ? ', ids 1,2,3' : ''}`)
}

async function arrived(way: Way, client: SessionClient): Promise<string[]> {
  return (await client.caughtUp()).map(message => shown(way, message)).sort()
}

for (const clean of [true, false]) {
  onEveryWay(`live, to a ${clean ? 'clean' : 'lasting'} session [MQTT-3.3.5-1], [MQTT-3.3.4-4]`, async (t, way) => {
    const clients = await subscribeAll(way, clean)
    await publishAll(way)
    for (const [index, client] of clients.entries()) t.same(await arrived(way, client), due(way), `order ${index}`)
  })
}

for (const how of RETURNS) {
  onEveryWay(`live, to a session that was taken up after ${how}`, async (t, way) => {
    const clients = await way.backAll(await subscribeAll(way), how)
    await publishAll(way)
    for (const [index, client] of clients.entries()) t.same(await arrived(way, client), due(way), `order ${index}`)
  })
}

for (const how of ['a lost connection', 'a restart'] as const) {
  onEveryWay(`from the queue, after ${how}`, async (t, way) => {
    const clients = await subscribeAll(way)
    for (const client of clients) await client.leave()
    await publishAll(way)
    for (const [index, client] of (await way.backAll(clients, how)).entries()) {
      t.same(
        (await arrived(way, client)).filter(line => !line.startsWith('at 0')),
        due(way, [1, 2]),
        `order ${index}`
      )
    }
  })
}

onEveryWay('a filter of QoS 0 that comes later loses nothing of what is queued and will be', async (t, way) => {
  const client = await way.connect({ clientId: way.name('client') })
  await client.watch()
  await client.subscribe([[way.name('o/t'), 1]])
  await client.leave()
  await publishAll(way)
  const second = await way.connect(client.options)
  await second.subscribe([[way.name('o/+'), 0]])
  await second.subscribe([[way.name('o/#'), 0]])
  await second.leave()
  await publishAll(way)
  const third = await way.back(second, 'a restart', { acknowledges: true })
  const got = (await third.caughtUp())
    .map(({ payload, qos }) => `${payload.toString()}: ${qos}`)
    .filter(line => !line.startsWith('at 0'))
  t.same(got, ['at 1: 1', 'at 2: 1', 'at 1: 1', 'at 2: 1'])
})

onEveryWay('UNSUBSCRIBE of one leaves the others with their QoS', async (t, way) => {
  const clients = await subscribeAll(way)
  for (const client of clients) await client.unsubscribe(way.name('o/t'))
  await publishAll(way)
  const rest = ['at 0: 0', 'at 1: 1', 'at 2: 1'].map(line => `${line}${way.version === 5 ? ', ids 1,2' : ''}`)
  for (const [index, client] of clients.entries()) t.same(await arrived(way, client), rest, `order ${index}`)
  for (const client of clients) await client.leave()
  await publishAll(way)
  for (const [index, client] of (await way.backAll(clients, 'a restart')).entries()) {
    t.same(
      (await arrived(way, client)).filter(line => !line.startsWith('at 0')),
      rest.slice(1),
      `order ${index} from the queue`
    )
  }
})

onEveryWay(
  'No Local of one does not hold for the others, and its identifier is left out [MQTT-3.8.3-3]',
  async (t, way) => {
    const client = await way.connect({ clientId: way.name('client'), acknowledges: true })
    await client.watch()
    await client.subscribe([[way.name('o/t'), 2, { nl: true }]], 1)
    await client.subscribe([[way.name('o/+'), 1]], 2)
    await client.publish(way.name('o/t'), 'own', { qos: 2 })
    t.same(
      (await client.caughtUp()).map(message => shown(way, message)),
      ['own: 1, ids 2']
    )
    await client.unsubscribe(way.name('o/+'))
    await client.publish(way.name('o/t'), 'own', { qos: 2 })
    t.same(await client.caughtUp(), [])
  },
  { versions: [5] }
)

onEveryWay(
  'a filter that is subscribed to anew has its new identifier, also over a restart [MQTT-3.8.4-3]',
  async (t, way) => {
    const client = await way.connect({ clientId: way.name('client'), acknowledges: true })
    await client.watch()
    for (const id of [1, 268_435_455]) await client.subscribe([[way.name('t'), 1]], id)
    const back = await way.back(client, 'a restart')
    await back.publish(way.name('t'), 'x')
    t.same(
      (await back.caughtUp()).map(message => shown(way, message)),
      ['x: 1, ids 268435455']
    )
    await back.subscribe([[way.name('t'), 1]])
    await back.publish(way.name('t'), 'y')
    t.same(
      (await back.caughtUp()).map(message => shown(way, message)),
      ['y: 1, ids ']
    )
  },
  { versions: [5] }
)

onEveryWay(
  'retained messages come for each SUBSCRIBE, with its identifier [MQTT-3.3.4-3]',
  async (t, way) => {
    const publisher = await way.visitor('publisher')
    await publisher.publish(way.name('o/t'), 'kept', { retain: true })
    const client = await way.connect({ clientId: way.name('client'), acknowledges: true })
    for (const [id, qos] of [
      [4, 0],
      [5, 1]
    ] as const) {
      await client.subscribe([[way.name(id === 4 ? 'o/+' : 'o/t'), qos]], id)
      t.equal(shown(way, await client.next('publish')), `kept: ${qos}, ids ${id}`)
    }
  },
  { versions: [5] }
)
