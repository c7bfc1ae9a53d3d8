// User properties keep their order and their duplicates on every way through the broker [MQTT-3.3.2-18],
// [MQTT-3.1.3-10].

import t from 'tap'
import type { SessionClient } from './session-client.js'
import { connectWithPairs, pairsIn, publishWithPairs, type Pair } from './user-properties.js'
import { onEveryWay, type Way } from './ways.js'

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

async function publish(way: Way, topic: string, { qos = 1, retain = false } = {}): Promise<void> {
  const publisher = await way.visitor('publisher')
  publisher.write(publishWithPairs(topic, 'x', PAIRS, { qos, retain, messageId: 1 }))
  await publisher.finish({ qos: qos as 0 | 1 | 2, messageId: 1 })
  await publisher.settled()
  await publisher.leave()
}

async function subscriber(way: Way, topic: string, clean = false): Promise<SessionClient> {
  const client = await way.connect({ clientId: way.name(`client ${topic} ${clean}`), clean, acknowledges: true })
  await client.watch()
  await client.subscribe([[topic, 2]], 7)
  return client
}

t.test('what reads them here reads them right', t => {
  t.same(pairsIn(publishWithPairs('t', 'x', PAIRS)), PAIRS)
  t.end()
})

onEveryWay(
  'live',
  async (t, way) => {
    for (const clean of [true, false]) {
      const client = await subscriber(way, way.name('t'), clean)
      for (const qos of [0, 1, 2]) {
        await publish(way, way.name('t'), { qos })
        t.same(pairsIn((await client.next('publish')).bytes), PAIRS, `QoS ${qos}`)
      }
    }
  },
  options
)

for (const how of ['a lost connection', 'a restart'] as const) {
  onEveryWay(
    `queued, after ${how}`,
    async (t, way) => {
      const client = await subscriber(way, way.name('t'))
      await client.leave()
      for (const qos of [1, 2]) await publish(way, way.name('t'), { qos })
      const back = await way.back(client, how)
      t.same(
        (await back.messages(2)).map(({ bytes }) => pairsIn(bytes)),
        [PAIRS, PAIRS]
      )
    },
    options
  )

  onEveryWay(
    `sent and not acknowledged, after ${how}`,
    async (t, way) => {
      const client = await subscriber(way, way.name('t'))
      client.acknowledges = false
      for (const qos of [1, 2]) await publish(way, way.name('t'), { qos })
      await client.messages(2)
      const back = await way.back(client, how)
      t.same(
        (await back.messages(2)).map(({ bytes }) => pairsIn(bytes)),
        [PAIRS, PAIRS]
      )
    },
    options
  )
}

onEveryWay(
  'retained, before and after a restart',
  async (t, way) => {
    await publish(way, way.name('t'), { retain: true })
    for (const when of ['before', 'after']) {
      const client = await subscriber(way, way.name('t'), true)
      t.same(pairsIn((await client.next('publish')).bytes), PAIRS, when)
      if (when === 'before') await way.restart()
    }
  },
  options
)

onEveryWay(
  'of a will: live, queued and retained',
  async (t, way) => {
    const topic = way.name('will')
    const [live, away] = [await subscriber(way, topic, true), await subscriber(way, topic)]
    await away.leave()
    const dying = await way.open()
    dying.write(connectWithPairs(way.name('dying'), { topic, payload: 'gone', retain: true }, PAIRS))
    await new Promise(resolve => {
      dying.once('data', resolve)
    })
    dying.destroy()
    t.same(pairsIn((await live.next('publish')).bytes), PAIRS, 'live')
    t.same(pairsIn((await (await way.back(away, 'a lost connection')).next('publish')).bytes), PAIRS, 'queued')
    t.same(pairsIn((await (await subscriber(way, topic, true)).next('publish')).bytes), PAIRS, 'retained')
  },
  options
)

onEveryWay(
  'of a will that a kill leaves behind',
  async (t, way) => {
    const topic = way.name('will')
    const dying = await way.open()
    dying.write(connectWithPairs(way.name('dying'), { topic, payload: 'gone', retain: true }, PAIRS))
    await new Promise(resolve => {
      dying.once('data', resolve)
    })
    await way.restart()
    t.same(pairsIn((await (await subscriber(way, topic, true)).next('publish')).bytes), PAIRS)
  },
  options
)
