// What a message says of itself reaches whoever is due it: live, retained, and after it waited for a session.

import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import type { IPublishPacket } from 'mqtt-packet'
import { payloadsOf, type SessionClient } from './session-client.js'
import { onEveryWay, type Way } from './ways.js'

const PROPERTIES: IPublishPacket['properties'] = {
  payloadFormatIndicator: true,
  contentType: 'text/plain; charset=utf-8',
  responseTopic: 'answers/☃',
  correlationData: Buffer.from([0, 255, 1, 0])
}
const only5 = { versions: [5] } as const
/** When a second is over, also for a clock of whole seconds. */
const MORE_THAN_A_SECOND_MS = 2_200

/** A subscriber of MQTT 5, and one of the way's version. */
async function subscriber(way: Way, topic: string, clean = false, rap = false): Promise<SessionClient> {
  const client = await way.connect({ clientId: way.name(`client ${clean} ${rap}`), clean, acknowledges: true })
  await client.watch()
  await client.subscribe([[topic, 2, { rap }]])
  return client
}

async function publish(
  way: Way,
  topic: string,
  properties: IPublishPacket['properties'],
  retain = false
): Promise<void> {
  const publisher = await way.visitor('publisher', { version: 5 })
  for (const qos of [1, 2] as const) await publisher.publish(topic, `at ${qos}`, { qos, properties, retain })
  await publisher.leave()
}

function same(test: Test, messages: readonly IPublishPacket[], count: number): void {
  test.equal(messages.length, count)
  for (const { properties } of messages) test.match(properties, PROPERTIES)
}

onEveryWay(
  'properties, live',
  async (t, way) => {
    for (const clean of [true, false]) {
      const client = await subscriber(way, way.name('t'), clean)
      await publish(way, way.name('t'), PROPERTIES)
      same(t, await client.caughtUp(), 2)
    }
  },
  only5
)

for (const how of ['a lost connection', 'a restart'] as const) {
  onEveryWay(
    `properties, queued, after ${how}`,
    async (t, way) => {
      const client = await subscriber(way, way.name('t'))
      await client.leave()
      await publish(way, way.name('t'), PROPERTIES)
      same(t, await (await way.back(client, how)).caughtUp(), 2)
    },
    only5
  )

  onEveryWay(
    `properties, sent again, after ${how}`,
    async (t, way) => {
      const client = await subscriber(way, way.name('t'))
      client.acknowledges = false
      await publish(way, way.name('t'), PROPERTIES)
      await client.messages(2)
      same(t, await (await way.back(client, how)).caughtUp(), 2)
    },
    only5
  )

  onEveryWay(`the retain flag of what was queued, after ${how} [MQTT-3.3.1-12], [MQTT-3.3.1-13]`, async (t, way) => {
    const clients = await Promise.all([false, true].map(rap => subscriber(way, way.name('t'), false, rap)))
    for (const client of clients) await client.leave()
    await publish(way, way.name('t'), {}, true)
    const [plain, asPublished] = (await way.backAll(clients, how)) as [SessionClient, SessionClient]
    t.same(
      (await plain.caughtUp()).map(({ retain }) => retain),
      [false, false]
    )
    t.same(
      (await asPublished.caughtUp()).map(({ retain }) => retain),
      way.version === 5 ? [true, true] : [false, false],
      'Retain As Published'
    )
  })
}

onEveryWay(
  'properties, retained, before and after a restart',
  async (t, way) => {
    await publish(way, way.name('t'), PROPERTIES, true)
    for (const when of ['before', 'after']) {
      const client = await subscriber(way, way.name('t'), true)
      same(t, [await client.next('publish')], 1)
      if (when === 'before') await way.restart()
    }
  },
  only5
)

onEveryWay(
  'the expiry of what was queued: what is left of it, and nothing where it is over [MQTT-3.3.2-5], [MQTT-3.3.2-6]',
  async (t, way) => {
    const client = await subscriber(way, way.name('t'))
    await client.leave()
    const publisher = await way.visitor('publisher', { version: 5 })
    for (const qos of [1, 2] as const) {
      for (const seconds of [1, 100, 4_294_967_295]) {
        await publisher.publish(way.name('t'), String(seconds), { qos, properties: { messageExpiryInterval: seconds } })
      }
    }
    const published = Date.now()
    await publisher.leave()
    await way.restart()
    await pause(published + MORE_THAN_A_SECOND_MS - Date.now())
    const before = Math.floor((Date.now() - published) / 1_000) - 1
    const got = await (await way.connect(client.options)).caughtUp()
    t.same(payloadsOf(got), ['100', '4294967295', '100', '4294967295'])
    const passed = Math.ceil((Date.now() - published) / 1_000) + 1
    for (const { payload, properties } of way.version === 5 ? got : []) {
      const left = properties?.messageExpiryInterval ?? NaN
      const whole = Number(payload.toString())
      t.ok(left <= whole - before && left >= whole - passed, `${left} of ${whole}`)
    }
  }
)

onEveryWay('the expiry of what waits behind a full window [MQTT-3.3.2-5]', async (t, way) => {
  const client = await way.connect({ clientId: way.name('client') })
  await client.watch()
  await client.subscribe([[way.name('t'), 1]])
  const publisher = await way.visitor('publisher', { version: 5 })
  // As many as may be under way.
  await publisher.publishAll(way.name('t'), Array(20).fill('first'))
  const first = await client.messages(20)
  await publisher.publish(way.name('t'), 'short', { properties: { messageExpiryInterval: 1 } })
  await publisher.publish(way.name('t'), 'long', { properties: { messageExpiryInterval: 100 } })
  await pause(MORE_THAN_A_SECOND_MS)
  client.acknowledge(...first)
  client.acknowledgeAll()
  t.same(payloadsOf(await client.caughtUp()), ['long'])
})

onEveryWay('the expiry of what is retained, before and after a restart', async (t, way) => {
  const publisher = await way.visitor('publisher', { version: 5 })
  for (const seconds of [1, 100]) {
    await publisher.publish(way.name(`kept/${seconds}`), String(seconds), {
      retain: true,
      properties: { messageExpiryInterval: seconds }
    })
  }
  const published = Date.now()
  for (const when of ['before', 'after']) {
    await pause(Math.max(0, published + MORE_THAN_A_SECOND_MS - Date.now()))
    const client = await way.visitor('client')
    await client.watch()
    await client.subscribe([[way.name('kept/+'), 1]])
    const got = await client.caughtUp()
    t.same(payloadsOf(got), ['100'], when)
    if (way.version === 5) t.ok((got[0]?.properties?.messageExpiryInterval ?? NaN) < 100, 'what is left')
    if (when === 'before') await way.restart()
  }
})
