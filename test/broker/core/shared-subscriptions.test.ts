// Shared subscriptions: each message goes to one member of a group, whatever becomes of the others (MQTT 5, 4.8.2).

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import type { QoS } from 'mqtt-packet'
import { startCarried } from './carriers.js'
import { numbers, payloadsOf, SessionClient, type SessionOptions } from './session-client.js'
import { onEveryWay, type Way } from './ways.js'

const only5 = { versions: [5] } as const

/** A member of group `g` for `t`. */
async function member(
  way: Way,
  name: string,
  options: Partial<SessionOptions> = {},
  qos: QoS = 1,
  filter = `$share/g/${way.name('t')}`
): Promise<SessionClient> {
  const client = await way.connect({ clientId: way.name(name), clean: true, acknowledges: true, ...options })
  await client.watch()
  await client.subscribe([[filter, qos]])
  return client
}

async function members(
  way: Way,
  count: number,
  options: Partial<SessionOptions> = {},
  qos?: QoS
): Promise<SessionClient[]> {
  return await Promise.all(numbers(count).map(name => member(way, name, options, qos)))
}

async function publish(way: Way, payloads: readonly string[], qos: QoS = 1, topic = way.name('t')): Promise<void> {
  const publisher = await way.visitor('publisher')
  await publisher.publishAll(topic, payloads, { qos })
  await publisher.leave()
}

/** What each of the clients got. */
async function shares(clients: readonly SessionClient[]): Promise<string[][]> {
  return (await Promise.all(clients.map(client => client.caughtUp()))).map(payloadsOf)
}

/** All of it, in order. */
function together(parts: readonly string[][]): string[] {
  return parts.flat().sort((a, b) => Number(a) - Number(b))
}

onEveryWay(
  'CONNACK does not say that there are none [MQTT-3.2.2-13]',
  async (t, way) => {
    const client = await way.visitor()
    t.not(client.connack.properties?.sharedSubscriptionAvailable, false)
  },
  only5
)

onEveryWay('they are granted at the QoS that is asked for', async (t, way) => {
  const client = await way.visitor()
  for (const qos of [0, 1, 2] as const) t.same(await client.subscribe([[`$share/${qos}/${way.name('t')}`, qos]]), [qos])
})

for (const clean of [true, false]) {
  for (const qos of [0, 1, 2] as const) {
    onEveryWay(`members take turns: QoS ${qos}, ${clean ? 'clean' : 'lasting'} sessions`, async (t, way) => {
      const clients = await members(way, 3, { clean }, qos)
      await publish(way, numbers(30), qos)
      const parts = await shares(clients)
      t.same(together(parts), numbers(30), 'each message once')
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
    })
  }
}

onEveryWay('groups are apart, by their name and by their filter', async (t, way) => {
  const filters = ['one/t', 'two/t', 'one/+', 'one/#', '__proto__/t'].map(
    group => `$share/${group.replace('/', `/${way.name('')}`)}`
  )
  const groups = await Promise.all(
    filters.map((filter, group) => Promise.all(['a', 'b'].map(name => member(way, `${group} ${name}`, {}, 1, filter))))
  )
  await publish(way, numbers(10))
  for (const [index, clients] of groups.entries()) t.same(together(await shares(clients)), numbers(10), filters[index])
})

onEveryWay('wildcards match as they do elsewhere', async (t, way) => {
  const plus = await member(way, 'plus', {}, 1, `$share/g/${way.name('+/x')}`)
  const hash = await member(way, 'hash', {}, 1, `$share/g/${way.name('a/#')}`)
  for (const topic of ['a', 'a/x', 'b/x', 'a/x/y', 'c']) await publish(way, [topic], 1, way.name(topic))
  t.same(await shares([plus, hash]), [
    ['a/x', 'b/x'],
    ['a', 'a/x', 'a/x/y']
  ])
})

onEveryWay('each member gets its share at the QoS that it was granted [MQTT-4.8.2-3]', async (t, way) => {
  const clients = await Promise.all(([0, 1, 2] as const).map(qos => member(way, String(qos), {}, qos)))
  await publish(way, numbers(30), 2)
  for (const [granted, client] of clients.entries()) {
    const got = await client.caughtUp()
    t.ok(got.length > 0)
    t.same(new Set(got.map(({ qos }) => qos)), new Set([granted]))
  }
})

onEveryWay('SUBSCRIBE brings no retained messages', async (t, way) => {
  const publisher = await way.visitor('publisher')
  await publisher.publish(way.name('t'), 'kept', { retain: true })
  const client = await member(way, 'client')
  t.same(await client.caughtUp(), [])
  await publisher.publish(way.name('t'), 'new', { retain: true })
  t.same(
    (await client.caughtUp()).map(({ payload, retain }) => `${payload.toString()} ${retain}`),
    ['new false']
  )
})

onEveryWay(
  'No Local is refused [MQTT-3.8.3-4]',
  async (t, way) => {
    const client = await way.visitor()
    client.send(client.subscribePacket([[`$share/g/${way.name('t')}`, 1, { nl: true }]]))
    t.equal((await client.next('disconnect')).reasonCode, 0x82)
  },
  only5
)

onEveryWay(
  'the identifier of the subscription comes with its messages',
  async (t, way) => {
    const client = await way.visitor()
    await client.watch()
    await client.subscribe([[`$share/g/${way.name('t')}`, 1]], 12)
    await publish(way, ['x'])
    t.same(
      (await client.caughtUp()).map(({ properties }) => properties?.subscriptionIdentifier),
      [12]
    )
  },
  only5
)

onEveryWay('who is also subscribed by itself gets those as well', async (t, way) => {
  const [both, other] = [await member(way, 'both'), await member(way, 'other')]
  await both.subscribe([[way.name('+'), 2]])
  await publish(way, numbers(20))
  const [own, rest] = (await shares([both, other])) as [string[], string[]]
  t.same([...new Set(own)], numbers(20), 'all of them by its own subscription')
  t.ok(rest.length >= 5)
  t.same(together([own, rest]), together([numbers(20), numbers(20)]), 'and its share of the others')
})

onEveryWay('a member that acknowledges nothing gets its window full, and the others all the rest', async (t, way) => {
  const narrow = way.version === 5 ? { properties: { receiveMaximum: 5, sessionExpiryInterval: 0 } } : {}
  const stuck = await member(way, 'stuck', { acknowledges: false, ...narrow })
  const other = await member(way, 'other')
  // The window of the default.
  const room = way.version === 5 ? 5 : 20
  await publish(way, numbers(200))
  const got = payloadsOf(await other.caughtUp())
  await stuck.settled()
  const held = payloadsOf(stuck.drain('publish'))
  t.ok(held.length <= room, `${held.length} are held`)
  t.same(together([got, held]), numbers(200))
})

/** How the session of a member ends. */
const ENDINGS: Readonly<Record<string, (way: Way, client: SessionClient) => Promise<void>>> = {
  'its connection breaks': async (_way, client) => {
    await client.vanish()
  },
  'it takes leave': async (_way, client) => {
    await client.leave()
  },
  'it begins anew': async (way, client) => {
    await way.connect({ ...client.options, clean: true })
  }
}

for (const [how, end] of Object.entries(ENDINGS)) {
  onEveryWay(`what a member has not acknowledged goes to another when its session ends: ${how}`, async (t, way) => {
    const leaving = await member(way, 'leaving', { acknowledges: false, clean: how !== 'it begins anew' })
    const staying = await member(way, 'staying')
    await publish(way, numbers(20))
    await leaving.next('publish')
    await end(way, leaving)
    const got: string[] = []
    while (got.length < 20)
      got.push(...payloadsOf([await staying.next('publish', ({ topic }) => topic === way.name('t'))]))
    t.same(together([got]), numbers(20))
    t.same(await staying.caughtUp(), [], 'and once')
  })
}

onEveryWay('a member that unsubscribes gets nothing more', async (t, way) => {
  const leaving = await member(way, 'leaving')
  const staying = await member(way, 'staying')
  await leaving.unsubscribe(`$share/g/${way.name('t')}`)
  await publish(way, numbers(10))
  t.same(await shares([leaving, staying]), [[], numbers(10)])
})

onEveryWay('a message of QoS 2 that a member was sent goes to no other [MQTT-4.8.2-5]', async (t, way) => {
  const leaving = await member(way, 'leaving', { acknowledges: false }, 2)
  const staying = await member(way, 'staying', {}, 2)
  await publish(way, numbers(10), 2)
  const held = await sent(leaving)
  await leaving.vanish()
  await publish(way, ['10'], 2)
  const [got] = await shares([staying])
  t.same(together([got, held]), numbers(11))
})

/** What a member that acknowledges nothing was sent until now. */
async function sent(client: SessionClient): Promise<string[]> {
  return payloadsOf(await client.caughtUp(0))
}

onEveryWay(
  'what a member refuses goes to no other [MQTT-4.8.2-6]',
  async (t, way) => {
    const refusing = await member(way, 'refusing', { acknowledges: false })
    const other = await member(way, 'other')
    await publish(way, numbers(10))
    const held = await refusing.caughtUp(0)
    for (const { messageId } of held) refusing.send({ cmd: 'puback', messageId, reasonCode: 0x83 })
    await refusing.settled()
    await refusing.vanish()
    await publish(way, ['10'])
    t.same(together([...(await shares([other])), payloadsOf(held)]), numbers(11))
  },
  only5
)

for (const how of ['a lost connection', 'a restart'] as const) {
  onEveryWay(
    `a lasting member that is away gets what comes when nobody else is there, after ${how}`,
    async (t, way) => {
      const client = await member(way, 'away', { clean: false })
      await client.leave()
      await publish(way, numbers(10))
      t.same(await shares([await way.back(client, how)]), [numbers(10)])
    }
  )
}

onEveryWay('a member that is there comes before one that is away', async (t, way) => {
  const away = await member(way, 'away', { clean: false })
  const there = await member(way, 'there')
  await away.leave()
  await publish(way, numbers(10))
  t.same(await shares([there]), [numbers(10)])
  t.same(await shares([await way.connect(away.options)]), [[]])
})

onEveryWay('a lasting member gets again what it did not acknowledge, and nobody else does', async (t, way) => {
  const client = await member(way, 'client', { clean: false, acknowledges: false }, 2)
  await publish(way, numbers(5), 2)
  const held = await client.messages(5)
  const back = await way.back(client, 'a restart')
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

onEveryWay('lasting members are members after a restart; who unsubscribed is not', async (t, way) => {
  const clients = await members(way, 3, { clean: false })
  await clients[2]?.unsubscribe(`$share/g/${way.name('t')}`)
  const back = await way.backAll(clients, 'a restart')
  await publish(way, numbers(20))
  const [first, second, third] = (await shares(back)) as [string[], string[], string[]]
  t.same(together([first, second]), numbers(20))
  t.ok(first.length >= 5 && second.length >= 5)
  t.same(third, [])
})

onEveryWay(
  'both versions share',
  async (t, way) => {
    const clients = [await member(way, 'old', { version: 4 }), await member(way, 'new', { version: 5 })]
    await publish(way, numbers(20))
    const parts = await shares(clients)
    t.same(together(parts), numbers(20))
    t.ok(parts.every(part => part.length >= 5))
  },
  { versions: [5] }
)

onEveryWay('a topic that begins with $share is none: nobody gets what is published to it', async (t, way) => {
  const client = await member(way, 'client')
  const publisher = await way.visitor('publisher')
  publisher.send(publisher.publishPacket(`$share/g/${way.name('t')}`, 'x', { qos: 0 }))
  t.same(await client.caughtUp(), [])
})

for (const version of [4, 5] as const) {
  t.test(`access rules look at the filter without its group, MQTT ${version}`, async t => {
    const folder = t.testdir({})
    writeFileSync(path.join(folder, 'rules'), 'topic readwrite open/#\ntopic write secret/#\ntopic readwrite mark/#\n')
    const broker = await startCarried(t, folder, { more: ['auth: { allowAnonymous: true, aclFile: rules }'] })
    const connect = async (clientId: string): Promise<SessionClient> =>
      await SessionClient.connect(await broker.open('TCP'), { clientId, version, clean: true, acknowledges: true })
    const [client, publisher] = [await connect('client'), await connect('publisher')]
    await client.watch()
    for (const filter of ['open/a', 'secret/a', '#'])
      await client.subscribe([[`$share/${filter === '#' ? 'all' : 'g'}/${filter}`, 1]])
    for (const topic of ['open/a', 'secret/a']) await publisher.publish(topic, topic)
    t.same(payloadsOf(await client.caughtUp()), ['open/a', 'open/a'])
  })
}
