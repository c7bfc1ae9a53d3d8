// When a session is there and when it has ended: Session Present, Clean Start and Session Expiry Interval.

import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { payloadsOf, type SessionClient, type SessionOptions } from './session-client.js'
import { onEveryWay, RETURNS, type Way } from './ways.js'

const only5 = { versions: [5] } as const
const UNRELEASED = 1_000

/** Sends a message that waits for the session. */
async function queue(way: Way, topic: string): Promise<void> {
  const publisher = await way.visitor('publisher')
  await publisher.publish(topic, 'queued')
  await publisher.leave()
}

/** A session with a subscription, a queued message and an unreleased one. */
async function fill(way: Way, options: Partial<SessionOptions> = {}): Promise<SessionClient> {
  const client = await way.connect({ clientId: way.name('client'), ...options })
  await client.watch()
  await client.subscribe([[way.name('t'), 1]])
  client.send(client.publishPacket(way.name('in'), 'x', { qos: 2, messageId: UNRELEASED }))
  await client.next('pubrec')
  await client.leave()
  await queue(way, way.name('t'))
  return client
}

/** That nothing is left of it. */
async function isNew(test: Test, way: Way, client: SessionClient): Promise<void> {
  test.equal(client.sessionPresent, false)
  client.acknowledgeAll()
  await client.watch()
  await queue(way, way.name('t'))
  test.same(await client.caughtUp(), [], 'no queue, no subscription')
  const listener = await way.visitor('listener')
  await listener.watch()
  await listener.subscribe([[way.name('in'), 1]])
  await client.publish(way.name('in'), 'x', { qos: 2, messageId: UNRELEASED })
  test.equal((await listener.caughtUp()).length, 1, 'no packet identifier in use')
  await client.leave()
}

for (const how of RETURNS) {
  onEveryWay(`a lasting session without subscriptions is there after ${how} [MQTT-3.2.2-3]`, async (t, way) => {
    const first = await way.connect({ clientId: way.name('client') })
    t.equal(first.sessionPresent, false)
    const second = await way.back(first, how)
    t.equal(second.sessionPresent, true)
    const third = await way.back(second, how)
    t.equal(third.sessionPresent, true)
    await third.leave()
    t.equal((await way.connect(first.options)).sessionPresent, true, 'after a DISCONNECT')
  })

  onEveryWay(`a session whose subscriptions all ended is there after ${how}`, async (t, way) => {
    const client = await way.connect({ clientId: way.name('client') })
    await client.subscribe([[way.name('t'), 1]])
    await client.unsubscribe(way.name('t'))
    t.equal((await way.back(client, how)).sessionPresent, true)
  })

  onEveryWay(`a session that ends with its connection is not there after ${how}`, async (t, way) => {
    const clean = await way.connect({ clientId: way.name('clean'), clean: true })
    await clean.subscribe([[way.name('t'), 1]])
    t.equal((await way.back(clean, how, { clean: false })).sessionPresent, false)
  })
}

onEveryWay(
  'a session of expiry 0 that begins without Clean Start ends with its connection',
  async (t, way) => {
    const options: SessionOptions = { clientId: way.name('client'), properties: { sessionExpiryInterval: 0 } }
    await (await fill(way, options)).whenClosed()
    await isNew(t, way, await way.connect(options))
    await fill(way, options)
    await way.restart()
    await isNew(t, way, await way.connect(options))
  },
  only5
)

onEveryWay(
  'a lasting session that is taken up with expiry 0 hands over its queue, and then ends',
  async (t, way) => {
    const client = await fill(way)
    const ending: Partial<SessionOptions> = { acknowledges: true, properties: { sessionExpiryInterval: 0 } }
    const taken = await way.connect({ ...client.options, ...ending })
    t.equal(taken.sessionPresent, true)
    t.same(payloadsOf(await taken.caughtUp()), ['queued'])
    await taken.leave()
    await queue(way, way.name('t'))
    await isNew(t, way, await way.connect(client.options))
  },
  only5
)

for (const how of ['a lost connection', 'a takeover', 'a restart'] as const) {
  onEveryWay(`Clean Start discards a session after ${how} [MQTT-3.1.2-4]`, async (t, way) => {
    const client = await fill(way)
    const second = how === 'a takeover' ? await way.connect(client.options) : client
    const clean = await way.back(second, how, {
      clean: true,
      ...(way.version === 5 && { properties: { sessionExpiryInterval: 100 } })
    })
    await isNew(t, way, clean)
    t.equal((await way.connect(client.options)).sessionPresent, way.version === 5, 'what began anew lasts as it said')
  })
}

onEveryWay(
  'a DISCONNECT with expiry 0 ends the session at once, also when a restart follows',
  async (t, way) => {
    const client = await fill(way)
    for (const restarts of [false, true]) {
      const second = await way.connect(client.options)
      await second.subscribe([[way.name('t'), 1]])
      await second.leave({ properties: { sessionExpiryInterval: 0 } })
      await queue(way, way.name('t'))
      if (restarts) await way.restart()
      await isNew(t, way, await way.connect(client.options))
    }
  },
  only5
)

onEveryWay(
  'a DISCONNECT may prolong a session, and not one of expiry 0 [MQTT-3.14.2-2]',
  async (t, way) => {
    const short = await way.connect({ clientId: way.name('short'), properties: { sessionExpiryInterval: 1 } })
    await short.leave({ properties: { sessionExpiryInterval: 100 } })
    const none = await way.connect({ clientId: way.name('none'), properties: { sessionExpiryInterval: 0 } })
    none.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 100 } })
    await none.whenClosed()
    await pause(1_500)
    t.equal((await way.connect(short.options)).sessionPresent, true)
    t.equal((await way.connect(none.options)).sessionPresent, false)
  },
  only5
)

onEveryWay(
  'a session ends when its expiry has passed, and not before, with or without a restart [MQTT-3.1.2-23]',
  async (t, way) => {
    const session = async (name: string, sessionExpiryInterval: number): Promise<SessionClient> =>
      await fill(way, { clientId: way.name(name), properties: { sessionExpiryInterval } })
    const long = await session('long', 100)
    const [visited, short] = [await session('visited', 4), await session('short', 4)]
    const gone = Date.now()
    t.equal((await way.connect(visited.options)).sessionPresent, true, 'before')
    await way.restart()
    await pause(gone + 5_200 - Date.now())
    await isNew(t, way, await way.connect(short.options))
    const kept = await way.connect({ ...long.options, acknowledges: true })
    t.equal(kept.sessionPresent, true)
    t.same(payloadsOf(await kept.caughtUp()), Array(4).fill('queued'))
  },
  only5
)

onEveryWay('a session that has ended wants nothing any more: its clients come again and again', async (t, way) => {
  for (let times = 0; times < 5; times++) {
    const client = await way.connect({ clientId: way.name('client'), clean: true })
    t.equal(client.sessionPresent, false)
    await client.subscribe([[way.name('t'), 1]])
    await client.leave()
    await queue(way, way.name('t'))
  }
  const last = await way.connect({ clientId: way.name('client') })
  t.equal(last.sessionPresent, false)
  await last.watch()
  t.same(await last.caughtUp(), [])
})

for (const [from, to] of [
  [4, 5],
  [5, 4]
] as const) {
  onEveryWay(
    `a session of MQTT ${from} is taken up by MQTT ${to}`,
    async (t, way) => {
      const client = await fill(way)
      const back = await way.connect({ ...client.options, version: to, acknowledges: true })
      t.equal(back.sessionPresent, true)
      t.same(payloadsOf(await back.caughtUp()), ['queued'])
      await back.leave()
      t.equal((await way.back(client, 'a restart')).sessionPresent, true, 'and back')
    },
    { versions: [from] }
  )
}
