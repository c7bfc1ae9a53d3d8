// With `persistence: false`, sessions are lost when the broker stops.

import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { startOnAllTransports } from './transports.js'
import { numbers, payloadsOf, SessionClient } from './session-client.js'
import { onEachTransport, type Variant } from './variants.js'

const settings = { more: ['persistence: false'] }

async function queue(variant: Variant, count = 5): Promise<void> {
  const publisher = await variant.connectClean('publisher')
  for (let number = 0; number < count; number++)
    await publisher.publish(variant.name('t'), String(number), { qos: number % 2 === 0 ? 1 : 2 })
  await publisher.disconnect()
}

async function session(variant: Variant): Promise<SessionClient> {
  const client = await variant.connect({ clientId: variant.name('client') })
  await client.subscribeMarker()
  await client.subscribe([[variant.name('t'), 2]])
  return client
}

for (const how of ['a lost connection', 'a takeover'] as const) {
  onEachTransport(
    `a session is resumed with its subscriptions and unacknowledged messages after ${how}`,
    async (t, variant) => {
      const client = await session(variant)
      await queue(variant)
      const sent = await client.messages(5)
      const back = await variant.reconnect(client, how)
      t.equal(back.sessionPresent, true)
      const again = await back.messages(5)
      const first = sent.map(({ payload, messageId }) => [payload.toString(), messageId, true])
      t.same(
        again.map(({ payload, messageId, dup }) => [payload.toString(), messageId, dup]),
        first
      )
      await back.complete(...again)
      back.acknowledgeAll()
      await queue(variant, 2)
      t.same(payloadsOf(await back.messagesSoFar()), ['0', '1'])
    },
    { settings }
  )
}

onEachTransport(
  'messages stay queued over 50 reconnects',
  async (t, variant) => {
    const client = await session(variant)
    await client.disconnect()
    await queue(variant, 100)
    for (let times = 0; times < 50; times++) {
      const back = await variant.connect(client.options)
      t.same(payloadsOf(await back.messages(20)), numbers(20))
      await back.destroy()
    }
    const last = await variant.connect({ ...client.options, acknowledges: true })
    t.equal((await last.messagesSoFar()).length, 100)
  },
  { settings, transports: ['TCP'] }
)

onEachTransport(
  'a session without subscriptions is present',
  async (t, variant) => {
    const client = await variant.connect({ clientId: variant.name('client') })
    t.equal((await variant.reconnect(client, 'a lost connection')).sessionPresent, true)
  },
  { settings }
)

onEachTransport(
  'Clean Start discards a session',
  async (t, variant) => {
    const client = await session(variant)
    await client.disconnect()
    await queue(variant)
    const clean = await variant.connect({ ...client.options, clean: true, acknowledges: true })
    t.equal(clean.sessionPresent, false)
    await clean.subscribeMarker()
    await queue(variant)
    t.same(await clean.messagesSoFar(), [])
  },
  { settings }
)

t.test('after a stop, no data is left in the broker or on the disk', async t => {
  const folder = t.testdir({})
  for (const version of [4, 5] as const) {
    const broker = await startOnAllTransports(t, folder, settings)
    const client = await SessionClient.connect(await broker.open('TCP'), { clientId: 'client', version })
    t.equal(client.sessionPresent, false)
    await client.subscribeMarker()
    await client.subscribe([['kept', 1]])
    t.same(await client.messagesSoFar(), [], 'no retained message')
    await client.publish('kept', 'x', { retain: true })
    await broker.stop()
    const data = path.join(folder, 'data')
    t.same(existsSync(data) ? readdirSync(data).filter(name => name === 'store') : [], [])
  }
})
