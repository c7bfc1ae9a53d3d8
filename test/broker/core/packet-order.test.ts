// SUBSCRIBE, UNSUBSCRIBE and PUBLISH of one connection act in the order in which they come [MQTT-4.6.0-6].

import { numbers, payloadsOf, type SessionClient } from './session-client.js'
import { onEveryWay, type Way } from './ways.js'

const TIMES = numbers(20)
/** More under way than clients of MQTT 5 are allowed by default. */
const settings = { limits: { inflightMessages: 1_000 } }

/** Does something with each of so many topics, in one connection; which of them its client is then subscribed to. */
async function subscribedAfter(
  way: Way,
  clean: boolean,
  act: (client: SessionClient, topic: string) => void
): Promise<string[]> {
  const client = await way.connect({ clientId: way.name(`client ${clean}`), clean, acknowledges: true })
  const publisher = await way.visitor('publisher')
  await client.watch()
  for (const name of TIMES) act(client, way.name(name))
  await client.caughtUp()
  for (const name of TIMES) await publisher.publish(way.name(name), name)
  return payloadsOf(await client.caughtUp())
}

for (const clean of [true, false]) {
  const session = clean ? 'clean session' : 'lasting session'

  onEveryWay(`UNSUBSCRIBE, SUBSCRIBE: subscribed; ${session}`, async (t, way) => {
    t.same(
      await subscribedAfter(way, clean, (client, topic) => {
        client.send(client.subscribePacket([[topic, 1]]))
        client.send(client.unsubscribePacket(topic), client.subscribePacket([[topic, 1]]))
      }),
      TIMES
    )
  })

  onEveryWay(`SUBSCRIBE, UNSUBSCRIBE: not subscribed; ${session}`, async (t, way) => {
    t.same(
      await subscribedAfter(way, clean, (client, topic) => {
        client.send(client.subscribePacket([[topic, 1]]), client.unsubscribePacket(topic))
      }),
      []
    )
  })

  // One of QoS 2 may be passed on when it comes, or when it is released.
  for (const qos of [0, 1] as const) {
    onEveryWay(
      `SUBSCRIBE, PUBLISH, UNSUBSCRIBE, PUBLISH at QoS ${qos}: its sender gets the first; ${session}`,
      async (t, way) => {
        const client = await way.connect({ clientId: way.name('client'), clean, acknowledges: true })
        await client.watch()
        const published = TIMES.flatMap(name => {
          const [first, second] = ['first', 'second'].map(payload =>
            client.publishPacket(way.name(name), payload, { qos })
          )
          client.send(
            client.subscribePacket([[way.name(name), 2]]),
            first,
            client.unsubscribePacket(way.name(name)),
            second
          )
          return [first, second]
        })
        await Promise.all(published.map(packet => client.finish(packet)))
        const got = [...(await client.messages(TIMES.length)), ...(await client.caughtUp())]
        t.same(
          got.map(({ topic, payload }) => [topic, payload.toString()]),
          TIMES.map(name => [way.name(name), 'first'])
        )
      },
      { settings }
    )
  }
}

onEveryWay('UNSUBSCRIBE, SUBSCRIBE: subscribed at the new QoS after a restart', async (t, way) => {
  const client = await way.connect({ clientId: way.name('client'), acknowledges: true })
  await client.watch()
  const topics = TIMES.map(name => way.name(name))
  await client.subscribe(topics.map(topic => [topic, 1]))
  for (const topic of topics) client.send(client.unsubscribePacket(topic), client.subscribePacket([[topic, 2]]))
  await client.caughtUp()
  const back = await way.back(client, 'a restart')
  for (const topic of topics) await back.publish(topic, 'x', { qos: 2 })
  t.same(
    (await back.caughtUp()).map(({ topic, qos }) => [topic, qos]),
    topics.map(topic => [topic, 2])
  )
})

onEveryWay('SUBSCRIBE, SUBSCRIBE: the QoS of the last one [MQTT-3.8.4-3]', async (t, way) => {
  const client = await way.visitor()
  await client.watch()
  const topics = TIMES.map(name => way.name(name))
  for (const topic of topics) client.send(client.subscribePacket([[topic, 2]]), client.subscribePacket([[topic, 1]]))
  for (const topic of topics) await client.publish(topic, 'x', { qos: 2 })
  t.same(
    (await client.caughtUp()).map(({ topic, qos }) => [topic, qos]),
    topics.map(topic => [topic, 1])
  )
})

onEveryWay('CONNECT, SUBSCRIBE, PUBLISH, without waiting: its sender gets it', async (t, way) => {
  for (const qos of [0, 1, 2] as const) {
    const client = await way.begin({ clientId: way.name(`client ${qos}`), acknowledges: true })
    const packet = client.publishPacket(way.name(String(qos)), 'x', { qos })
    client.send(client.subscribePacket([[way.name(String(qos)), 2]]), packet)
    await client.finish(packet)
    t.match(await client.next('publish'), { topic: way.name(String(qos)), qos })
  }
})

onEveryWay(
  'PUBACKs, and PUBRECs, come in the order of their messages [MQTT-4.6.0-2], [MQTT-4.6.0-3]',
  async (t, way) => {
    const client = await way.visitor()
    const packets = TIMES.map((name, i) =>
      client.publishPacket(way.name(name), name, { qos: i % 3 === 0 ? 2 : 1, retain: i % 2 === 0 })
    )
    client.send(...packets)
    await Promise.all(packets.map(packet => client.finish(packet)))
    for (const [cmd, qos] of [
      ['puback', 1],
      ['pubrec', 2]
    ] as const) {
      t.same(
        client.received.filter(packet => packet.cmd === cmd).map(({ messageId }) => messageId),
        packets.filter(packet => packet.qos === qos).map(({ messageId }) => messageId),
        cmd
      )
    }
  },
  { settings }
)
