// SUBSCRIBE, UNSUBSCRIBE and PUBLISH of one connection take effect in the order sent [MQTT-4.6.0-6].

import { numbers, payloadsOf, type SessionClient } from './session-client.js'
import { onEachTransport, type Variant } from './variants.js'

const NAMES = numbers(20)
/** Allows more messages in flight than the default. */
const settings = { limits: { inflightMessages: 1_000 } }

/** Runs `act` for each topic in one connection; returns the topics that its client is then subscribed to. */
async function subscribedAfter(
  variant: Variant,
  clean: boolean,
  act: (client: SessionClient, topic: string) => void
): Promise<string[]> {
  const client = await variant.connect({ clientId: variant.name(`client ${clean}`), clean, acknowledges: true })
  const publisher = await variant.connectClean('publisher')
  await client.subscribeMarker()
  for (const name of NAMES) act(client, variant.name(name))
  await client.messagesSoFar()
  for (const name of NAMES) await publisher.publish(variant.name(name), name)
  return payloadsOf(await client.messagesSoFar())
}

for (const clean of [true, false]) {
  const session = clean ? 'clean session' : 'persistent session'

  onEachTransport(`UNSUBSCRIBE, SUBSCRIBE: subscribed; ${session}`, async (t, variant) => {
    t.same(
      await subscribedAfter(variant, clean, (client, topic) => {
        client.send(client.subscribePacket([[topic, 1]]))
        client.send(client.unsubscribePacket(topic), client.subscribePacket([[topic, 1]]))
      }),
      NAMES
    )
  })

  onEachTransport(`SUBSCRIBE, UNSUBSCRIBE: not subscribed; ${session}`, async (t, variant) => {
    t.same(
      await subscribedAfter(variant, clean, (client, topic) => {
        client.send(client.subscribePacket([[topic, 1]]), client.unsubscribePacket(topic))
      }),
      []
    )
  })

  // A QoS 2 message may be delivered at the PUBLISH or at the PUBREL.
  for (const qos of [0, 1] as const) {
    onEachTransport(
      `SUBSCRIBE, PUBLISH, UNSUBSCRIBE, PUBLISH at QoS ${qos}: the sender gets the first; ${session}`,
      async (t, variant) => {
        const client = await variant.connect({ clientId: variant.name('client'), clean, acknowledges: true })
        await client.subscribeMarker()
        const published = NAMES.flatMap(name => {
          const [first, second] = ['first', 'second'].map(payload =>
            client.publishPacket(variant.name(name), payload, { qos })
          )
          client.send(
            client.subscribePacket([[variant.name(name), 2]]),
            first,
            client.unsubscribePacket(variant.name(name)),
            second
          )
          return [first, second]
        })
        await Promise.all(published.map(packet => client.finish(packet)))
        const got = [...(await client.messages(NAMES.length)), ...(await client.messagesSoFar())]
        t.same(
          got.map(({ topic, payload }) => [topic, payload.toString()]),
          NAMES.map(name => [variant.name(name), 'first'])
        )
      },
      { settings }
    )
  }
}

onEachTransport('UNSUBSCRIBE, SUBSCRIBE: subscribed at the new QoS after a restart', async (t, variant) => {
  const client = await variant.connect({ clientId: variant.name('client'), acknowledges: true })
  await client.subscribeMarker()
  const topics = NAMES.map(name => variant.name(name))
  await client.subscribe(topics.map(topic => [topic, 1]))
  for (const topic of topics) client.send(client.unsubscribePacket(topic), client.subscribePacket([[topic, 2]]))
  await client.messagesSoFar()
  const back = await variant.reconnect(client, 'a restart')
  for (const topic of topics) await back.publish(topic, 'x', { qos: 2 })
  t.same(
    (await back.messagesSoFar()).map(({ topic, qos }) => [topic, qos]),
    topics.map(topic => [topic, 2])
  )
})

onEachTransport('SUBSCRIBE, SUBSCRIBE: the QoS of the last one [MQTT-3.8.4-3]', async (t, variant) => {
  const client = await variant.connectClean()
  await client.subscribeMarker()
  const topics = NAMES.map(name => variant.name(name))
  for (const topic of topics) client.send(client.subscribePacket([[topic, 2]]), client.subscribePacket([[topic, 1]]))
  for (const topic of topics) await client.publish(topic, 'x', { qos: 2 })
  t.same(
    (await client.messagesSoFar()).map(({ topic, qos }) => [topic, qos]),
    topics.map(topic => [topic, 1])
  )
})

onEachTransport('CONNECT, SUBSCRIBE, PUBLISH, without waiting: the sender gets the message', async (t, variant) => {
  for (const qos of [0, 1, 2] as const) {
    const client = await variant.startConnect({ clientId: variant.name(`client ${qos}`), acknowledges: true })
    const packet = client.publishPacket(variant.name(String(qos)), 'x', { qos })
    client.send(client.subscribePacket([[variant.name(String(qos)), 2]]), packet)
    await client.finish(packet)
    t.match(await client.next('publish'), { topic: variant.name(String(qos)), qos })
  }
})

onEachTransport(
  'PUBACKs and PUBRECs arrive in the order of their messages [MQTT-4.6.0-2], [MQTT-4.6.0-3]',
  async (t, variant) => {
    const client = await variant.connectClean()
    const packets = NAMES.map((name, i) =>
      client.publishPacket(variant.name(name), name, { qos: i % 3 === 0 ? 2 : 1, retain: i % 2 === 0 })
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
