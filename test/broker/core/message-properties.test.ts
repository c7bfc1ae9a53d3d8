// Properties of a message reach its subscribers: live, retained and queued.

import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import type { IPublishPacket } from 'mqtt-packet'
import { payloadsOf, type SessionClient } from './session-client.js'
import { onEachTransport, type Variant } from './variants.js'

const PROPERTIES: IPublishPacket['properties'] = {
  payloadFormatIndicator: true,
  contentType: 'text/plain; charset=utf-8',
  responseTopic: 'answers/☃',
  correlationData: Buffer.from([0, 255, 1, 0])
}
const only5 = { versions: [5] } as const
/** Longer than an expiry of 1 s, also for a clock with whole seconds. */
const AFTER_EXPIRY_MS = 2_200

/** Connects a subscriber. */
async function subscriber(variant: Variant, topic: string, clean = false, rap = false): Promise<SessionClient> {
  const client = await variant.connect({ clientId: variant.name(`client ${clean} ${rap}`), clean, acknowledges: true })
  await client.subscribeMarker()
  await client.subscribe([[topic, 2, { rap }]])
  return client
}

async function publish(
  variant: Variant,
  topic: string,
  properties: IPublishPacket['properties'],
  retain = false
): Promise<void> {
  const publisher = await variant.connectClean('publisher', { version: 5 })
  for (const qos of [1, 2] as const) await publisher.publish(topic, `at ${qos}`, { qos, properties, retain })
  await publisher.disconnect()
}

function same(test: Test, messages: readonly IPublishPacket[], count: number): void {
  test.equal(messages.length, count)
  for (const { properties } of messages) test.match(properties, PROPERTIES)
}

onEachTransport(
  'properties, live',
  async (t, variant) => {
    for (const clean of [true, false]) {
      const client = await subscriber(variant, variant.name('t'), clean)
      await publish(variant, variant.name('t'), PROPERTIES)
      same(t, await client.messagesSoFar(), 2)
    }
  },
  only5
)

for (const how of ['a lost connection', 'a restart'] as const) {
  onEachTransport(
    `properties, queued, after ${how}`,
    async (t, variant) => {
      const client = await subscriber(variant, variant.name('t'))
      await client.disconnect()
      await publish(variant, variant.name('t'), PROPERTIES)
      same(t, await (await variant.reconnect(client, how)).messagesSoFar(), 2)
    },
    only5
  )

  onEachTransport(
    `properties, sent again, after ${how}`,
    async (t, variant) => {
      const client = await subscriber(variant, variant.name('t'))
      client.acknowledges = false
      await publish(variant, variant.name('t'), PROPERTIES)
      await client.messages(2)
      same(t, await (await variant.reconnect(client, how)).messagesSoFar(), 2)
    },
    only5
  )

  onEachTransport(
    `retain flag of queued messages, after ${how} [MQTT-3.3.1-12], [MQTT-3.3.1-13]`,
    async (t, variant) => {
      const clients = await Promise.all([false, true].map(rap => subscriber(variant, variant.name('t'), false, rap)))
      for (const client of clients) await client.disconnect()
      await publish(variant, variant.name('t'), {}, true)
      const [plain, asPublished] = (await variant.reconnectAll(clients, how)) as [SessionClient, SessionClient]
      t.same(
        (await plain.messagesSoFar()).map(({ retain }) => retain),
        [false, false]
      )
      t.same(
        (await asPublished.messagesSoFar()).map(({ retain }) => retain),
        variant.version === 5 ? [true, true] : [false, false],
        'Retain As Published'
      )
    }
  )
}

onEachTransport(
  'properties, retained, before and after a restart',
  async (t, variant) => {
    await publish(variant, variant.name('t'), PROPERTIES, true)
    for (const when of ['before', 'after']) {
      const client = await subscriber(variant, variant.name('t'), true)
      same(t, [await client.next('publish')], 1)
      if (when === 'before') await variant.restart()
    }
  },
  only5
)

onEachTransport(
  'expiry of queued messages: remaining time, and no expired message [MQTT-3.3.2-5], [MQTT-3.3.2-6]',
  async (t, variant) => {
    const client = await subscriber(variant, variant.name('t'))
    await client.disconnect()
    const publisher = await variant.connectClean('publisher', { version: 5 })
    for (const qos of [1, 2] as const) {
      for (const seconds of [1, 100, 4_294_967_295]) {
        await publisher.publish(variant.name('t'), String(seconds), {
          qos,
          properties: { messageExpiryInterval: seconds }
        })
      }
    }
    const published = Date.now()
    await publisher.disconnect()
    await variant.restart()
    await pause(published + AFTER_EXPIRY_MS - Date.now())
    const before = Math.floor((Date.now() - published) / 1_000) - 1
    const got = await (await variant.connect(client.options)).messagesSoFar()
    t.same(payloadsOf(got), ['100', '4294967295', '100', '4294967295'])
    const passed = Math.ceil((Date.now() - published) / 1_000) + 1
    for (const { payload, properties } of variant.version === 5 ? got : []) {
      const left = properties?.messageExpiryInterval ?? NaN
      const whole = Number(payload.toString())
      t.ok(left <= whole - before && left >= whole - passed, `${left} of ${whole}`)
    }
  }
)

onEachTransport('expiry of messages behind a full in-flight window [MQTT-3.3.2-5]', async (t, variant) => {
  const client = await variant.connect({ clientId: variant.name('client') })
  await client.subscribeMarker()
  await client.subscribe([[variant.name('t'), 1]])
  const publisher = await variant.connectClean('publisher', { version: 5 })
  // Fills the in-flight window.
  await publisher.publishAll(variant.name('t'), Array(20).fill('first'))
  const first = await client.messages(20)
  await publisher.publish(variant.name('t'), 'short', { properties: { messageExpiryInterval: 1 } })
  await publisher.publish(variant.name('t'), 'long', { properties: { messageExpiryInterval: 100 } })
  await pause(AFTER_EXPIRY_MS)
  client.acknowledge(...first)
  client.acknowledgeAll()
  t.same(payloadsOf(await client.messagesSoFar()), ['long'])
})

onEachTransport('expiry of retained messages, before and after a restart', async (t, variant) => {
  const publisher = await variant.connectClean('publisher', { version: 5 })
  for (const seconds of [1, 100]) {
    await publisher.publish(variant.name(`kept/${seconds}`), String(seconds), {
      retain: true,
      properties: { messageExpiryInterval: seconds }
    })
  }
  const published = Date.now()
  for (const when of ['before', 'after']) {
    await pause(Math.max(0, published + AFTER_EXPIRY_MS - Date.now()))
    const client = await variant.connectClean('client')
    await client.subscribeMarker()
    await client.subscribe([[variant.name('kept/+'), 1]])
    const got = await client.messagesSoFar()
    t.same(payloadsOf(got), ['100'], when)
    if (variant.version === 5) t.ok((got[0]?.properties?.messageExpiryInterval ?? NaN) < 100, 'remaining time')
    if (when === 'before') await variant.restart()
  }
})
