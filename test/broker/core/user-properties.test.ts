// User properties keep their order and duplicates on all paths through the broker [MQTT-3.3.2-18], [MQTT-3.1.3-10].

import t from 'tap'
import type { SessionClient } from './session-client.js'
import { connectWithPairs, pairsIn, publishWithPairs, type Pair } from './user-properties.js'
import { onEachTransport, type Variant } from './variants.js'

const PAIRS: readonly Pair[] = [
  ['b', '1'],
  ['a', '2'],
  ['b', '3'],
  ['', 'no name'],
  ['__proto__', '4'],
  ['constructor', ''],
  ['10', 'x'],
  ['9', 'y'],
  ['a', '2'],
  ['ü', '☃']
]
const options = { versions: [5] } as const

async function publish(variant: Variant, topic: string, { qos = 1, retain = false } = {}): Promise<void> {
  const publisher = await variant.connectClean('publisher')
  publisher.write(publishWithPairs(topic, 'x', PAIRS, { qos, retain, messageId: 1 }))
  await publisher.finish({ qos: qos as 0 | 1 | 2, messageId: 1 })
  await publisher.settled()
  await publisher.disconnect()
}

async function subscriber(variant: Variant, topic: string, clean = false): Promise<SessionClient> {
  const client = await variant.connect({
    clientId: variant.name(`client ${topic} ${clean}`),
    clean,
    acknowledges: true
  })
  await client.subscribeMarker()
  await client.subscribe([[topic, 2]], 7)
  return client
}

t.test('pairsIn decodes them correctly', t => {
  t.same(pairsIn(publishWithPairs('t', 'x', PAIRS)), PAIRS)
  t.end()
})

onEachTransport(
  'live',
  async (t, variant) => {
    for (const clean of [true, false]) {
      const client = await subscriber(variant, variant.name('t'), clean)
      for (const qos of [0, 1, 2]) {
        await publish(variant, variant.name('t'), { qos })
        t.same(pairsIn((await client.next('publish')).bytes), PAIRS, `QoS ${qos}`)
      }
    }
  },
  options
)

for (const how of ['a lost connection', 'a restart'] as const) {
  onEachTransport(
    `queued, after ${how}`,
    async (t, variant) => {
      const client = await subscriber(variant, variant.name('t'))
      await client.disconnect()
      for (const qos of [1, 2]) await publish(variant, variant.name('t'), { qos })
      const back = await variant.reconnect(client, how)
      t.same(
        (await back.messages(2)).map(({ bytes }) => pairsIn(bytes)),
        [PAIRS, PAIRS]
      )
    },
    options
  )

  onEachTransport(
    `sent and not acknowledged, after ${how}`,
    async (t, variant) => {
      const client = await subscriber(variant, variant.name('t'))
      client.acknowledges = false
      for (const qos of [1, 2]) await publish(variant, variant.name('t'), { qos })
      await client.messages(2)
      const back = await variant.reconnect(client, how)
      t.same(
        (await back.messages(2)).map(({ bytes }) => pairsIn(bytes)),
        [PAIRS, PAIRS]
      )
    },
    options
  )
}

onEachTransport(
  'retained, before and after a restart',
  async (t, variant) => {
    await publish(variant, variant.name('t'), { retain: true })
    for (const when of ['before', 'after']) {
      const client = await subscriber(variant, variant.name('t'), true)
      t.same(pairsIn((await client.next('publish')).bytes), PAIRS, when)
      if (when === 'before') await variant.restart()
    }
  },
  options
)

onEachTransport(
  'of a will: live, queued and retained',
  async (t, variant) => {
    const topic = variant.name('will')
    const [live, offline] = [await subscriber(variant, topic, true), await subscriber(variant, topic)]
    await offline.disconnect()
    const dying = await variant.open()
    dying.write(connectWithPairs(variant.name('dying'), { topic, payload: 'gone', retain: true }, PAIRS))
    await new Promise(resolve => {
      dying.once('data', resolve)
    })
    dying.destroy()
    t.same(pairsIn((await live.next('publish')).bytes), PAIRS, 'live')
    t.same(
      pairsIn((await (await variant.reconnect(offline, 'a lost connection')).next('publish')).bytes),
      PAIRS,
      'queued'
    )
    t.same(pairsIn((await (await subscriber(variant, topic, true)).next('publish')).bytes), PAIRS, 'retained')
  },
  options
)

onEachTransport(
  'of a will after a kill',
  async (t, variant) => {
    const topic = variant.name('will')
    const dying = await variant.open()
    dying.write(connectWithPairs(variant.name('dying'), { topic, payload: 'gone', retain: true }, PAIRS))
    await new Promise(resolve => {
      dying.once('data', resolve)
    })
    await variant.restart()
    t.same(pairsIn((await (await subscriber(variant, topic, true)).next('publish')).bytes), PAIRS)
  },
  options
)
