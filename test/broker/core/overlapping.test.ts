// A message that matches several filters of a session: one copy, highest QoS, all subscription identifiers.

import type { IPublishPacket } from 'mqtt-packet'
import type { Filter, SessionClient } from './session-client.js'
import { onEachTransport, RECONNECTS, type Variant } from './variants.js'

interface Subscription {
  id: number
  filter: Filter
}

/** Subscriptions that match `TOPIC/t`, in every order. */
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

/** Connects a client for each order. */
async function subscribeAll(variant: Variant, clean = false): Promise<SessionClient[]> {
  return await Promise.all(
    orders(variant.name('o')).map(async (subscriptions, index) => {
      const client = await variant.connect({ clientId: variant.name(`client ${index}`), clean, acknowledges: true })
      await client.subscribeMarker()
      for (const { id, filter } of subscriptions) await client.subscribe([filter], id)
      return client
    })
  )
}

async function publishAll(variant: Variant): Promise<void> {
  const publisher = await variant.connectClean('publisher')
  for (const qos of [0, 1, 2] as const) await publisher.publish(variant.name('o/t'), `at ${qos}`, { qos })
  await publisher.disconnect()
}

/** Formats a message with its QoS and identifiers. */
function shown(variant: Variant, { payload, qos, properties }: IPublishPacket): string {
  const ids = [properties?.subscriptionIdentifier ?? []].flat().sort()
  return `${payload.toString()}: ${qos}${variant.version === 5 ? `, ids ${ids.join()}` : ''}`
}

function expected(variant: Variant, qos: readonly number[] = [0, 1, 2]): string[] {
  return qos.map(one => `at ${one}: ${one}${variant.version === 5 ? ', ids 1,2,3' : ''}`)
}

async function arrived(variant: Variant, client: SessionClient): Promise<string[]> {
  return (await client.messagesSoFar()).map(message => shown(variant, message)).sort()
}

for (const clean of [true, false]) {
  onEachTransport(
    `live, to a ${clean ? 'clean' : 'persistent'} session [MQTT-3.3.5-1], [MQTT-3.3.4-4]`,
    async (t, variant) => {
      const clients = await subscribeAll(variant, clean)
      await publishAll(variant)
      for (const [index, client] of clients.entries())
        t.same(await arrived(variant, client), expected(variant), `order ${index}`)
    }
  )
}

for (const how of RECONNECTS) {
  onEachTransport(`live, to a session resumed after ${how}`, async (t, variant) => {
    const clients = await variant.reconnectAll(await subscribeAll(variant), how)
    await publishAll(variant)
    for (const [index, client] of clients.entries())
      t.same(await arrived(variant, client), expected(variant), `order ${index}`)
  })
}

for (const how of ['a lost connection', 'a restart'] as const) {
  onEachTransport(`from the queue, after ${how}`, async (t, variant) => {
    const clients = await subscribeAll(variant)
    for (const client of clients) await client.disconnect()
    await publishAll(variant)
    for (const [index, client] of (await variant.reconnectAll(clients, how)).entries()) {
      t.same(
        (await arrived(variant, client)).filter(line => !line.startsWith('at 0')),
        expected(variant, [1, 2]),
        `order ${index}`
      )
    }
  })
}

onEachTransport('a later QoS 0 filter does not affect queued messages', async (t, variant) => {
  const client = await variant.connect({ clientId: variant.name('client') })
  await client.subscribeMarker()
  await client.subscribe([[variant.name('o/t'), 1]])
  await client.disconnect()
  await publishAll(variant)
  const second = await variant.connect(client.options)
  await second.subscribe([[variant.name('o/+'), 0]])
  await second.subscribe([[variant.name('o/#'), 0]])
  await second.disconnect()
  await publishAll(variant)
  const third = await variant.reconnect(second, 'a restart', { acknowledges: true })
  const got = (await third.messagesSoFar())
    .map(({ payload, qos }) => `${payload.toString()}: ${qos}`)
    .filter(line => !line.startsWith('at 0'))
  t.same(got, ['at 1: 1', 'at 2: 1', 'at 1: 1', 'at 2: 1'])
})

onEachTransport('UNSUBSCRIBE of one filter keeps the others with their QoS', async (t, variant) => {
  const clients = await subscribeAll(variant)
  for (const client of clients) await client.unsubscribe(variant.name('o/t'))
  await publishAll(variant)
  const rest = ['at 0: 0', 'at 1: 1', 'at 2: 1'].map(line => `${line}${variant.version === 5 ? ', ids 1,2' : ''}`)
  for (const [index, client] of clients.entries()) t.same(await arrived(variant, client), rest, `order ${index}`)
  for (const client of clients) await client.disconnect()
  await publishAll(variant)
  for (const [index, client] of (await variant.reconnectAll(clients, 'a restart')).entries()) {
    t.same(
      (await arrived(variant, client)).filter(line => !line.startsWith('at 0')),
      rest.slice(1),
      `order ${index} from the queue`
    )
  }
})

onEachTransport(
  'No Local of one filter does not apply to the others, and its identifier is omitted [MQTT-3.8.3-3]',
  async (t, variant) => {
    const client = await variant.connect({ clientId: variant.name('client'), acknowledges: true })
    await client.subscribeMarker()
    await client.subscribe([[variant.name('o/t'), 2, { nl: true }]], 1)
    await client.subscribe([[variant.name('o/+'), 1]], 2)
    await client.publish(variant.name('o/t'), 'own', { qos: 2 })
    t.same(
      (await client.messagesSoFar()).map(message => shown(variant, message)),
      ['own: 1, ids 2']
    )
    await client.unsubscribe(variant.name('o/+'))
    await client.publish(variant.name('o/t'), 'own', { qos: 2 })
    t.same(await client.messagesSoFar(), [])
  },
  { versions: [5] }
)

onEachTransport(
  'a repeated subscription has its new identifier, also after a restart [MQTT-3.8.4-3]',
  async (t, variant) => {
    const client = await variant.connect({ clientId: variant.name('client'), acknowledges: true })
    await client.subscribeMarker()
    for (const id of [1, 268_435_455]) await client.subscribe([[variant.name('t'), 1]], id)
    const back = await variant.reconnect(client, 'a restart')
    await back.publish(variant.name('t'), 'x')
    t.same(
      (await back.messagesSoFar()).map(message => shown(variant, message)),
      ['x: 1, ids 268435455']
    )
    await back.subscribe([[variant.name('t'), 1]])
    await back.publish(variant.name('t'), 'y')
    t.same(
      (await back.messagesSoFar()).map(message => shown(variant, message)),
      ['y: 1, ids ']
    )
  },
  { versions: [5] }
)

onEachTransport(
  'each SUBSCRIBE gets retained messages with its identifier [MQTT-3.3.4-3]',
  async (t, variant) => {
    const publisher = await variant.connectClean('publisher')
    await publisher.publish(variant.name('o/t'), 'kept', { retain: true })
    const client = await variant.connect({ clientId: variant.name('client'), acknowledges: true })
    for (const [id, qos] of [
      [4, 0],
      [5, 1]
    ] as const) {
      await client.subscribe([[variant.name(id === 4 ? 'o/+' : 'o/t'), qos]], id)
      t.equal(shown(variant, await client.next('publish')), `kept: ${qos}, ids ${id}`)
    }
  },
  { versions: [5] }
)
