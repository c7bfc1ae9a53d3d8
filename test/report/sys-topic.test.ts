// The detection's topics: new subscribers get the status, which is kept in memory only.

import type { AedesOptions } from 'aedes'
import t, { type Test } from 'tap'
import { SysTopic, TOPICS } from '../../src/report/sys-topic.js'
import { matches } from '../../src/topics.js'
import { publish, subscribe } from '../decode/craft-mqtt.js'
import { BROKER_VERSIONS, closeBroker, type BrokerVersion } from '../support/brokers.js'
import { RawClient, TYPE } from '../support/raw-client.js'
import { waitUntil } from '../support/wait-until.js'

const MATCHING = [
  '$SYS/#',
  '$SYS/broker/artemis/+',
  '$SYS/broker/artemis/status',
  '$SYS/+/artemis/status',
  '$SYS/broker/artemis/status/#'
]
const OTHER = [
  '#',
  '+/broker/artemis/status',
  '+/#',
  '$SYS/broker/artemis',
  '$SYS/broker/artemis/alerts',
  '$SYS/+',
  '$SYS/broker/artemis/status/+'
]

async function withTopic(t: Test, version: BrokerVersion, options?: AedesOptions) {
  const broker = await version.create(options)
  const topic = new SysTopic(broker, error => {
    t.fail(error.message)
  })
  t.teardown(async () => {
    await closeBroker(broker)
  })
  return { broker, topic }
}

function ours({ topics }: RawClient): string[] {
  return topics.filter(topic => topic.startsWith('$SYS/broker/artemis/'))
}

t.test('matching filters', async t => {
  const levels = TOPICS.status.split('/')
  for (const filter of MATCHING) t.ok(matches(filter.split('/'), levels), filter)
  for (const filter of OTHER) t.notOk(matches(filter.split('/'), levels), filter)
})

for (const version of BROKER_VERSIONS) {
  t.test(version.name, async t => {
    t.test('a new subscriber gets the status as a retained message', async t => {
      const { broker, topic } = await withTopic(t, version)
      topic.status({ state: 'learning' })
      topic.status({ state: 'guarding' })
      for (const filter of MATCHING) {
        const client = await RawClient.connect(broker, { clientId: filter })
        client.send(subscribe([filter]))
        const { payload, retain } = await client.next(TYPE.publish, packet => packet.topic === TOPICS.status)
        t.same(JSON.parse(payload), { state: 'guarding' }, filter)
        t.ok(retain, `${filter}: the retain flag is set`)
        await client.settled()
        t.equal(client.topics.filter(name => name === TOPICS.status).length, 1, `${filter}: once`)
      }
      for (const filter of OTHER) {
        const client = await RawClient.connect(broker, { clientId: filter })
        client.send(subscribe([filter]))
        await client.next(TYPE.suback)
        await client.settled()
        t.notOk(client.topics.includes(TOPICS.status), `not for ${filter}`)
      }
    })

    t.test('current subscribers get status, scores and alerts without the retain flag', async t => {
      const { broker, topic } = await withTopic(t, version)
      const client = await RawClient.connect(broker)
      client.send(subscribe(['$SYS/#']))
      await client.next(TYPE.suback)
      topic.status({ state: 'guarding' })
      topic.scores({ movAvg: 0.1 })
      topic.alert({ event_type: 'alert' })
      for (const [name, body] of [
        [TOPICS.status, { state: 'guarding' }],
        [TOPICS.scores, { movAvg: 0.1 }],
        [TOPICS.alerts, { event_type: 'alert' }]
      ] as const) {
        const { payload, retain } = await client.next(TYPE.publish, packet => packet.topic === name)
        t.same(JSON.parse(payload), body)
        t.notOk(retain)
      }
    })

    t.test('an unchanged status is kept for new subscribers but not published', async t => {
      const { broker, topic } = await withTopic(t, version)
      const client = await RawClient.connect(broker)
      client.send(subscribe(['$SYS/#']))
      await client.next(TYPE.suback)
      topic.status({ seen: 1 }, false)
      await client.settled()
      t.same(ours(client), [])
      const newcomer = await RawClient.connect(broker, { clientId: 'newcomer' })
      newcomer.send(subscribe(['$SYS/#']))
      t.equal((await newcomer.next(TYPE.publish, packet => packet.topic === TOPICS.status)).payload, '{"seen":1}')
    })

    t.test('a rejected subscription gets nothing', async t => {
      const { broker, topic } = await withTopic(t, version, {
        authorizeSubscribe: (_client, subscription, callback) => {
          callback(null, subscription.topic.startsWith('$SYS') ? null : subscription)
        }
      })
      topic.status({ state: 'guarding' })
      const client = await RawClient.connect(broker)
      client.send(subscribe(['$SYS/#']))
      t.ok(((await client.next(TYPE.suback)).bytes.at(-1) ?? 0) >= 0x80, 'refused')
      await client.settled()
      t.same(ours(client), [])
    })

    t.test('nothing reaches the store', async t => {
      const { broker, topic } = await withTopic(t, version)
      const stored: string[] = []
      const { persistence } = broker as unknown as {
        persistence: Record<string, (...args: { topic?: string }[]) => unknown>
      }
      for (const name of ['storeRetained', 'outgoingEnqueue', 'outgoingEnqueueCombi', 'outgoingUpdate']) {
        const original = persistence[name]
        persistence[name] = function (...args) {
          for (const { topic } of args) if (topic !== undefined) stored.push(`${name} ${topic}`)
          return original.apply(this, args)
        }
      }
      const client = await RawClient.connect(broker, { clean: false })
      client.send(subscribe(['$SYS/#', 'room']), publish('room', 'warm', { qos: 1 }))
      topic.status({ state: 'guarding' })
      await client.next(TYPE.publish, packet => packet.topic === TOPICS.status)
      await client.next(TYPE.publish, packet => packet.topic === 'room')
      t.ok(
        stored.some(entry => entry.endsWith('room')),
        'store writes are recorded'
      )
      t.notOk(stored.some(entry => entry.includes('$SYS/broker/artemis')))
    })

    t.test("a client's message is not lost when one of ours overtakes it", async t => {
      const { broker, topic } = await withTopic(t, version)
      const { persistence } = broker as unknown as {
        persistence: { subscriptionsByTopic(topic: string): Promise<unknown> }
      }
      const slow: (() => void)[] = []
      const lookUp = persistence.subscriptionsByTopic
      persistence.subscriptionsByTopic = async function (name) {
        if (name === 'room')
          await new Promise<void>(resolve => {
            slow.push(resolve)
          })
        return await lookUp.call(this, name)
      }
      const client = await RawClient.connect(broker)
      client.send(subscribe(['$SYS/#', 'room']))
      await client.next(TYPE.suback)
      const sender = await RawClient.connect(broker, { clientId: 'sender' })
      sender.send(publish('room', 'warm', { qos: 1 }))
      await waitUntil('the message is being stored', () => slow.length === 1)
      topic.scores({ movAvg: 0.1 })
      await client.next(TYPE.publish, packet => packet.topic === TOPICS.scores)
      slow.forEach(resume => {
        resume()
      })
      t.equal((await client.next(TYPE.publish, packet => packet.topic === 'room')).payload, 'warm')
    })

    t.test('after close, subscribers get no status; nothing is published to a closed broker', async t => {
      const { broker, topic } = await withTopic(t, version)
      topic.status({ state: 'guarding' })
      topic.close()
      const client = await RawClient.connect(broker)
      client.send(subscribe(['$SYS/#']))
      await client.next(TYPE.suback)
      await client.settled()
      t.same(ours(client), [])
      await closeBroker(broker)
      topic.status({ state: 'guarding' })
      topic.scores({})
      topic.alert({})
    })
  })
}
