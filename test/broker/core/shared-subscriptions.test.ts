// Shared subscriptions: each message goes to exactly one member of a group (MQTT 5, 4.8.2).

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import type { QoS } from 'mqtt-packet'
import { startOnAllTransports } from './transports.js'
import { numbers, payloadsOf, SessionClient, type SessionOptions } from './session-client.js'
import { onEachTransport, type Variant } from './variants.js'

const only5 = { versions: [5] } as const

/** Connects a member of group `g` for `t`. */
async function member(
  variant: Variant,
  name: string,
  options: Partial<SessionOptions> = {},
  qos: QoS = 1,
  filter = `$share/g/${variant.name('t')}`
): Promise<SessionClient> {
  const client = await variant.connect({ clientId: variant.name(name), clean: true, acknowledges: true, ...options })
  await client.subscribeMarker()
  await client.subscribe([[filter, qos]])
  return client
}

async function members(
  variant: Variant,
  count: number,
  options: Partial<SessionOptions> = {},
  qos?: QoS
): Promise<SessionClient[]> {
  return await Promise.all(numbers(count).map(name => member(variant, name, options, qos)))
}

async function publish(
  variant: Variant,
  payloads: readonly string[],
  qos: QoS = 1,
  topic = variant.name('t')
): Promise<void> {
  const publisher = await variant.connectClean('publisher')
  await publisher.publishAll(topic, payloads, { qos })
  await publisher.disconnect()
}

/** Returns the payloads that each client received. */
async function shares(clients: readonly SessionClient[]): Promise<string[][]> {
  return (await Promise.all(clients.map(client => client.messagesSoFar()))).map(payloadsOf)
}

/** Returns all payloads, sorted. */
function merged(parts: readonly string[][]): string[] {
  return parts.flat().sort((a, b) => Number(a) - Number(b))
}

onEachTransport(
  'the CONNACK does not disable them [MQTT-3.2.2-13]',
  async (t, variant) => {
    const client = await variant.connectClean()
    t.not(client.connack.properties?.sharedSubscriptionAvailable, false)
  },
  only5
)

onEachTransport('they are granted at the requested QoS', async (t, variant) => {
  const client = await variant.connectClean()
  for (const qos of [0, 1, 2] as const)
    t.same(await client.subscribe([[`$share/${qos}/${variant.name('t')}`, qos]]), [qos])
})

for (const clean of [true, false]) {
  for (const qos of [0, 1, 2] as const) {
    onEachTransport(
      `members take turns: QoS ${qos}, ${clean ? 'clean' : 'persistent'} sessions`,
      async (t, variant) => {
        const clients = await members(variant, 3, { clean }, qos)
        await publish(variant, numbers(30), qos)
        const parts = await shares(clients)
        t.same(merged(parts), numbers(30), 'each message once')
        t.ok(
          parts.every(part => part.length >= 5),
          `${parts.map(part => part.length).join()} of 30`
        )
        for (const part of parts)
          t.same(
            part,
            part.toSorted((a, b) => Number(a) - Number(b)),
            'in order'
          )
      }
    )
  }
}

onEachTransport('groups with different names or filters are independent', async (t, variant) => {
  const filters = ['one/t', 'two/t', 'one/+', 'one/#', '__proto__/t'].map(
    group => `$share/${group.replace('/', `/${variant.name('')}`)}`
  )
  const groups = await Promise.all(
    filters.map((filter, group) =>
      Promise.all(['a', 'b'].map(name => member(variant, `${group} ${name}`, {}, 1, filter)))
    )
  )
  await publish(variant, numbers(10))
  for (const [index, clients] of groups.entries()) t.same(merged(await shares(clients)), numbers(10), filters[index])
})

onEachTransport('wildcards match as in other subscriptions', async (t, variant) => {
  const plus = await member(variant, 'plus', {}, 1, `$share/g/${variant.name('+/x')}`)
  const hash = await member(variant, 'hash', {}, 1, `$share/g/${variant.name('a/#')}`)
  for (const topic of ['a', 'a/x', 'b/x', 'a/x/y', 'c']) await publish(variant, [topic], 1, variant.name(topic))
  t.same(await shares([plus, hash]), [
    ['a/x', 'b/x'],
    ['a', 'a/x', 'a/x/y']
  ])
})

onEachTransport('each member gets messages at its granted QoS [MQTT-4.8.2-3]', async (t, variant) => {
  const clients = await Promise.all(([0, 1, 2] as const).map(qos => member(variant, String(qos), {}, qos)))
  await publish(variant, numbers(30), 2)
  for (const [granted, client] of clients.entries()) {
    const got = await client.messagesSoFar()
    t.ok(got.length > 0)
    t.same(new Set(got.map(({ qos }) => qos)), new Set([granted]))
  }
})

onEachTransport('SUBSCRIBE sends no retained messages', async (t, variant) => {
  const publisher = await variant.connectClean('publisher')
  await publisher.publish(variant.name('t'), 'kept', { retain: true })
  const client = await member(variant, 'client')
  t.same(await client.messagesSoFar(), [])
  await publisher.publish(variant.name('t'), 'new', { retain: true })
  t.same(
    (await client.messagesSoFar()).map(({ payload, retain }) => `${payload.toString()} ${retain}`),
    ['new false']
  )
})

onEachTransport(
  'No Local is refused [MQTT-3.8.3-4]',
  async (t, variant) => {
    const client = await variant.connectClean()
    client.send(client.subscribePacket([[`$share/g/${variant.name('t')}`, 1, { nl: true }]]))
    t.equal((await client.next('disconnect')).reasonCode, 0x82)
  },
  only5
)

onEachTransport(
  'messages have the subscription identifier',
  async (t, variant) => {
    const client = await variant.connectClean()
    await client.subscribeMarker()
    await client.subscribe([[`$share/g/${variant.name('t')}`, 1]], 12)
    await publish(variant, ['x'])
    t.same(
      (await client.messagesSoFar()).map(({ properties }) => properties?.subscriptionIdentifier),
      [12]
    )
  },
  only5
)

onEachTransport('a member with an ordinary subscription gets those messages as well', async (t, variant) => {
  const [both, other] = [await member(variant, 'both'), await member(variant, 'other')]
  await both.subscribe([[variant.name('+'), 2]])
  await publish(variant, numbers(20))
  const [own, rest] = (await shares([both, other])) as [string[], string[]]
  t.same([...new Set(own)], numbers(20), 'all by the ordinary subscription')
  t.ok(rest.length >= 5)
  t.same(merged([own, rest]), merged([numbers(20), numbers(20)]), 'plus its share')
})

onEachTransport(
  'a member that acknowledges nothing gets at most its window, and the others all the rest',
  async (t, variant) => {
    const narrow = variant.version === 5 ? { properties: { receiveMaximum: 5, sessionExpiryInterval: 0 } } : {}
    const stuck = await member(variant, 'stuck', { acknowledges: false, ...narrow })
    const other = await member(variant, 'other')
    // Default in-flight window for MQTT 3.1.1.
    const room = variant.version === 5 ? 5 : 20
    await publish(variant, numbers(200))
    const got = payloadsOf(await other.messagesSoFar())
    await stuck.settled()
    const held = payloadsOf(stuck.drain('publish'))
    t.ok(held.length <= room, `${held.length} unacknowledged`)
    t.same(merged([got, held]), numbers(200))
  }
)

/** Ways in which the session of a member ends. */
const ENDINGS: Readonly<Record<string, (variant: Variant, client: SessionClient) => Promise<void>>> = {
  'lost connection': async (_way, client) => {
    await client.destroy()
  },
  DISCONNECT: async (_way, client) => {
    await client.disconnect()
  },
  'Clean Start': async (variant, client) => {
    await variant.connect({ ...client.options, clean: true })
  }
}

for (const [how, end] of Object.entries(ENDINGS)) {
  onEachTransport(`unacknowledged messages go to another member when a session ends: ${how}`, async (t, variant) => {
    const leaving = await member(variant, 'leaving', { acknowledges: false, clean: how !== 'Clean Start' })
    const staying = await member(variant, 'staying')
    await publish(variant, numbers(20))
    await leaving.next('publish')
    await end(variant, leaving)
    const got: string[] = []
    while (got.length < 20)
      got.push(...payloadsOf([await staying.next('publish', ({ topic }) => topic === variant.name('t'))]))
    t.same(merged([got]), numbers(20))
    t.same(await staying.messagesSoFar(), [], 'once only')
  })
}

onEachTransport('a member that unsubscribes gets no more messages', async (t, variant) => {
  const leaving = await member(variant, 'leaving')
  const staying = await member(variant, 'staying')
  await leaving.unsubscribe(`$share/g/${variant.name('t')}`)
  await publish(variant, numbers(10))
  t.same(await shares([leaving, staying]), [[], numbers(10)])
})

onEachTransport('a QoS 2 message that was sent to a member goes to no other [MQTT-4.8.2-5]', async (t, variant) => {
  const leaving = await member(variant, 'leaving', { acknowledges: false }, 2)
  const staying = await member(variant, 'staying', {}, 2)
  await publish(variant, numbers(10), 2)
  const held = await sent(leaving)
  await leaving.destroy()
  await publish(variant, ['10'], 2)
  const [got] = await shares([staying])
  t.same(merged([got, held]), numbers(11))
})

/** Returns what a member that acknowledges nothing was sent so far. */
async function sent(client: SessionClient): Promise<string[]> {
  return payloadsOf(await client.messagesSoFar(0))
}

onEachTransport(
  'a message that a member rejects goes to no other [MQTT-4.8.2-6]',
  async (t, variant) => {
    const refusing = await member(variant, 'refusing', { acknowledges: false })
    const other = await member(variant, 'other')
    await publish(variant, numbers(10))
    const held = await refusing.messagesSoFar(0)
    for (const { messageId } of held) refusing.send({ cmd: 'puback', messageId, reasonCode: 0x83 })
    await refusing.settled()
    await refusing.destroy()
    await publish(variant, ['10'])
    t.same(merged([...(await shares([other])), payloadsOf(held)]), numbers(11))
  },
  only5
)

for (const how of ['a lost connection', 'a restart'] as const) {
  onEachTransport(
    `an offline member with a persistent session gets messages if no other is connected, after ${how}`,
    async (t, variant) => {
      const client = await member(variant, 'offline', { clean: false })
      await client.disconnect()
      await publish(variant, numbers(10))
      t.same(await shares([await variant.reconnect(client, how)]), [numbers(10)])
    }
  )
}

onEachTransport('a connected member is preferred to an offline one', async (t, variant) => {
  const offline = await member(variant, 'offline', { clean: false })
  const connected = await member(variant, 'connected')
  await offline.disconnect()
  await publish(variant, numbers(10))
  t.same(await shares([connected]), [numbers(10)])
  t.same(await shares([await variant.connect(offline.options)]), [[]])
})

onEachTransport('a member with a persistent session gets its unacknowledged messages again', async (t, variant) => {
  const client = await member(variant, 'client', { clean: false, acknowledges: false }, 2)
  await publish(variant, numbers(5), 2)
  const held = await client.messages(5)
  const back = await variant.reconnect(client, 'a restart')
  const again = await back.messages(5)
  t.same(payloadsOf(again), numbers(5))
  t.same(
    again.map(({ messageId }) => messageId),
    held.map(({ messageId }) => messageId)
  )
  t.same(
    again.map(({ dup }) => dup),
    Array(5).fill(true)
  )
})

onEachTransport(
  'members with persistent sessions are still members after a restart, unless unsubscribed',
  async (t, variant) => {
    const clients = await members(variant, 3, { clean: false })
    await clients[2]?.unsubscribe(`$share/g/${variant.name('t')}`)
    const back = await variant.reconnectAll(clients, 'a restart')
    await publish(variant, numbers(20))
    const [first, second, third] = (await shares(back)) as [string[], string[], string[]]
    t.same(merged([first, second]), numbers(20))
    t.ok(first.length >= 5 && second.length >= 5)
    t.same(third, [])
  }
)

onEachTransport(
  'members with different MQTT versions',
  async (t, variant) => {
    const clients = [await member(variant, 'old', { version: 4 }), await member(variant, 'new', { version: 5 })]
    await publish(variant, numbers(20))
    const parts = await shares(clients)
    t.same(merged(parts), numbers(20))
    t.ok(parts.every(part => part.length >= 5))
  },
  { versions: [5] }
)

onEachTransport('messages to a topic that starts with $share are not delivered', async (t, variant) => {
  const client = await member(variant, 'client')
  const publisher = await variant.connectClean('publisher')
  publisher.send(publisher.publishPacket(`$share/g/${variant.name('t')}`, 'x', { qos: 0 }))
  t.same(await client.messagesSoFar(), [])
})

for (const version of [4, 5] as const) {
  t.test(`access rules apply to the filter without $share/group, MQTT ${version}`, async t => {
    const folder = t.testdir({})
    writeFileSync(path.join(folder, 'rules'), 'topic readwrite open/#\ntopic write secret/#\ntopic readwrite mark/#\n')
    const broker = await startOnAllTransports(t, folder, { more: ['auth: { allowAnonymous: true, aclFile: rules }'] })
    const connect = async (clientId: string): Promise<SessionClient> =>
      await SessionClient.connect(await broker.open('TCP'), { clientId, version, clean: true, acknowledges: true })
    const [client, publisher] = [await connect('client'), await connect('publisher')]
    await client.subscribeMarker()
    for (const filter of ['open/a', 'secret/a', '#'])
      await client.subscribe([[`$share/${filter === '#' ? 'all' : 'g'}/${filter}`, 1]])
    for (const topic of ['open/a', 'secret/a']) await publisher.publish(topic, topic)
    t.same(payloadsOf(await client.messagesSoFar()), ['open/a', 'open/a'])
  })
}
