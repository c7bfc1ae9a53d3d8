// When a session exists: Session Present, Clean Start and Session Expiry Interval.

import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { payloadsOf, type SessionClient, type SessionOptions } from './session-client.js'
import { onEachTransport, RECONNECTS, type Variant } from './variants.js'

const only5 = { versions: [5] } as const
const UNRELEASED = 1_000

/** Publishes a message for the session's queue. */
async function queue(variant: Variant, topic: string): Promise<void> {
  const publisher = await variant.connectClean('publisher')
  await publisher.publish(topic, 'queued')
  await publisher.disconnect()
}

/** Creates a session with a subscription, a queued message and an unreleased one. */
async function createSession(variant: Variant, options: Partial<SessionOptions> = {}): Promise<SessionClient> {
  const client = await variant.connect({ clientId: variant.name('client'), ...options })
  await client.subscribeMarker()
  await client.subscribe([[variant.name('t'), 1]])
  client.send(client.publishPacket(variant.name('in'), 'x', { qos: 2, messageId: UNRELEASED }))
  await client.next('pubrec')
  await client.disconnect()
  await queue(variant, variant.name('t'))
  return client
}

/** Checks that a session is new. */
async function expectNew(test: Test, variant: Variant, client: SessionClient): Promise<void> {
  test.equal(client.sessionPresent, false)
  client.acknowledgeAll()
  await client.subscribeMarker()
  await queue(variant, variant.name('t'))
  test.same(await client.messagesSoFar(), [], 'no queue, no subscription')
  const listener = await variant.connectClean('listener')
  await listener.subscribeMarker()
  await listener.subscribe([[variant.name('in'), 1]])
  await client.publish(variant.name('in'), 'x', { qos: 2, messageId: UNRELEASED })
  test.equal((await listener.messagesSoFar()).length, 1, 'no packet identifier in use')
  await client.disconnect()
}

for (const how of RECONNECTS) {
  onEachTransport(
    `a persistent session without subscriptions is present after ${how} [MQTT-3.2.2-3]`,
    async (t, variant) => {
      const first = await variant.connect({ clientId: variant.name('client') })
      t.equal(first.sessionPresent, false)
      const second = await variant.reconnect(first, how)
      t.equal(second.sessionPresent, true)
      const third = await variant.reconnect(second, how)
      t.equal(third.sessionPresent, true)
      await third.disconnect()
      t.equal((await variant.connect(first.options)).sessionPresent, true, 'after a DISCONNECT')
    }
  )

  onEachTransport(`a session whose subscriptions have all ended is present after ${how}`, async (t, variant) => {
    const client = await variant.connect({ clientId: variant.name('client') })
    await client.subscribe([[variant.name('t'), 1]])
    await client.unsubscribe(variant.name('t'))
    t.equal((await variant.reconnect(client, how)).sessionPresent, true)
  })

  onEachTransport(`a session that ends with its connection is not present after ${how}`, async (t, variant) => {
    const clean = await variant.connect({ clientId: variant.name('clean'), clean: true })
    await clean.subscribe([[variant.name('t'), 1]])
    t.equal((await variant.reconnect(clean, how, { clean: false })).sessionPresent, false)
  })
}

onEachTransport(
  'a session with expiry 0 and without Clean Start ends with its connection',
  async (t, variant) => {
    const options: SessionOptions = { clientId: variant.name('client'), properties: { sessionExpiryInterval: 0 } }
    await (await createSession(variant, options)).whenClosed()
    await expectNew(t, variant, await variant.connect(options))
    await createSession(variant, options)
    await variant.restart()
    await expectNew(t, variant, await variant.connect(options))
  },
  only5
)

onEachTransport(
  'a persistent session that is resumed with expiry 0 delivers its queue, and then ends',
  async (t, variant) => {
    const client = await createSession(variant)
    const ending: Partial<SessionOptions> = { acknowledges: true, properties: { sessionExpiryInterval: 0 } }
    const taken = await variant.connect({ ...client.options, ...ending })
    t.equal(taken.sessionPresent, true)
    t.same(payloadsOf(await taken.messagesSoFar()), ['queued'])
    await taken.disconnect()
    await queue(variant, variant.name('t'))
    await expectNew(t, variant, await variant.connect(client.options))
  },
  only5
)

for (const how of ['a lost connection', 'a takeover', 'a restart'] as const) {
  onEachTransport(`Clean Start discards a session after ${how} [MQTT-3.1.2-4]`, async (t, variant) => {
    const client = await createSession(variant)
    const second = how === 'a takeover' ? await variant.connect(client.options) : client
    const clean = await variant.reconnect(second, how, {
      clean: true,
      ...(variant.version === 5 && { properties: { sessionExpiryInterval: 100 } })
    })
    await expectNew(t, variant, clean)
    t.equal(
      (await variant.connect(client.options)).sessionPresent,
      variant.version === 5,
      'the new session has its own expiry'
    )
  })
}

onEachTransport(
  'a DISCONNECT with expiry 0 ends the session at once, also before a restart',
  async (t, variant) => {
    const client = await createSession(variant)
    for (const restarts of [false, true]) {
      const second = await variant.connect(client.options)
      await second.subscribe([[variant.name('t'), 1]])
      await second.disconnect({ properties: { sessionExpiryInterval: 0 } })
      await queue(variant, variant.name('t'))
      if (restarts) await variant.restart()
      await expectNew(t, variant, await variant.connect(client.options))
    }
  },
  only5
)

onEachTransport(
  'a DISCONNECT may extend a session, but not one with expiry 0 [MQTT-3.14.2-2]',
  async (t, variant) => {
    const short = await variant.connect({ clientId: variant.name('short'), properties: { sessionExpiryInterval: 1 } })
    await short.disconnect({ properties: { sessionExpiryInterval: 100 } })
    const none = await variant.connect({ clientId: variant.name('none'), properties: { sessionExpiryInterval: 0 } })
    none.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 100 } })
    await none.whenClosed()
    await pause(1_500)
    t.equal((await variant.connect(short.options)).sessionPresent, true)
    t.equal((await variant.connect(none.options)).sessionPresent, false)
  },
  only5
)

onEachTransport(
  'a session ends after its expiry, and not before, with or without a restart [MQTT-3.1.2-23]',
  async (t, variant) => {
    const session = async (name: string, sessionExpiryInterval: number): Promise<SessionClient> =>
      await createSession(variant, { clientId: variant.name(name), properties: { sessionExpiryInterval } })
    const long = await session('long', 100)
    const [visited, short] = [await session('visited', 4), await session('short', 4)]
    const disconnectedAt = Date.now()
    t.equal((await variant.connect(visited.options)).sessionPresent, true, 'before')
    await variant.restart()
    await pause(disconnectedAt + 5_200 - Date.now())
    await expectNew(t, variant, await variant.connect(short.options))
    const kept = await variant.connect({ ...long.options, acknowledges: true })
    t.equal(kept.sessionPresent, true)
    t.same(payloadsOf(await kept.messagesSoFar()), Array(4).fill('queued'))
  },
  only5
)

onEachTransport('an ended session receives nothing, over several reconnects', async (t, variant) => {
  for (let times = 0; times < 5; times++) {
    const client = await variant.connect({ clientId: variant.name('client'), clean: true })
    t.equal(client.sessionPresent, false)
    await client.subscribe([[variant.name('t'), 1]])
    await client.disconnect()
    await queue(variant, variant.name('t'))
  }
  const last = await variant.connect({ clientId: variant.name('client') })
  t.equal(last.sessionPresent, false)
  await last.subscribeMarker()
  t.same(await last.messagesSoFar(), [])
})

for (const [from, to] of [
  [4, 5],
  [5, 4]
] as const) {
  onEachTransport(
    `a session of MQTT ${from} is resumed by MQTT ${to}`,
    async (t, variant) => {
      const client = await createSession(variant)
      const back = await variant.connect({ ...client.options, version: to, acknowledges: true })
      t.equal(back.sessionPresent, true)
      t.same(payloadsOf(await back.messagesSoFar()), ['queued'])
      await back.disconnect()
      t.equal((await variant.reconnect(client, 'a restart')).sessionPresent, true, 'and resumed by the first version')
    },
    { versions: [from] }
  )
}
