// With `persistence: false`, sessions last as long as the broker runs, and no longer.

import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { startCarried } from './carriers.js'
import { numbers, payloadsOf, SessionClient } from './session-client.js'
import { onEveryWay, type Way } from './ways.js'

const settings = { more: ['persistence: false'] }

async function queue(way: Way, count = 5): Promise<void> {
  const publisher = await way.visitor('publisher')
  for (let number = 0; number < count; number++)
    await publisher.publish(way.name('t'), String(number), { qos: number % 2 === 0 ? 1 : 2 })
  await publisher.leave()
}

async function session(way: Way): Promise<SessionClient> {
  const client = await way.connect({ clientId: way.name('client') })
  await client.watch()
  await client.subscribe([[way.name('t'), 2]])
  return client
}

for (const how of ['a lost connection', 'a takeover'] as const) {
  onEveryWay(
    `a session is there, with its subscriptions and what it was sent, after ${how}`,
    async (t, way) => {
      const client = await session(way)
      await queue(way)
      const sent = await client.messages(5)
      const back = await way.back(client, how)
      t.equal(back.sessionPresent, true)
      const again = await back.messages(5)
      const first = sent.map(({ payload, messageId }) => [payload.toString(), messageId, true])
      t.same(
        again.map(({ payload, messageId, dup }) => [payload.toString(), messageId, dup]),
        first
      )
      await back.complete(...again)
      back.acknowledgeAll()
      await queue(way, 2)
      t.same(payloadsOf(await back.caughtUp()), ['0', '1'])
    },
    { settings }
  )
}

onEveryWay(
  'messages wait, over 50 reconnects',
  async (t, way) => {
    const client = await session(way)
    await client.leave()
    await queue(way, 100)
    for (let times = 0; times < 50; times++) {
      const back = await way.connect(client.options)
      t.same(payloadsOf(await back.messages(20)), numbers(20))
      await back.vanish()
    }
    const last = await way.connect({ ...client.options, acknowledges: true })
    t.equal((await last.caughtUp()).length, 100)
  },
  { settings, carriers: ['TCP'] }
)

onEveryWay(
  'a session without subscriptions is there',
  async (t, way) => {
    const client = await way.connect({ clientId: way.name('client') })
    t.equal((await way.back(client, 'a lost connection')).sessionPresent, true)
  },
  { settings }
)

onEveryWay(
  'Clean Start discards it',
  async (t, way) => {
    const client = await session(way)
    await client.leave()
    await queue(way)
    const clean = await way.connect({ ...client.options, clean: true, acknowledges: true })
    t.equal(clean.sessionPresent, false)
    await clean.watch()
    await queue(way)
    t.same(await clean.caughtUp(), [])
  },
  { settings }
)

t.test('nothing is left after a stop, in the broker or on the disk', async t => {
  const folder = t.testdir({})
  for (const version of [4, 5] as const) {
    const broker = await startCarried(t, folder, settings)
    const client = await SessionClient.connect(await broker.open('TCP'), { clientId: 'client', version })
    t.equal(client.sessionPresent, false)
    await client.watch()
    await client.subscribe([['kept', 1]])
    t.same(await client.caughtUp(), [], 'no retained message')
    await client.publish('kept', 'x', { retain: true })
    await broker.stop()
    const data = path.join(folder, 'data')
    t.same(existsSync(data) ? readdirSync(data).filter(name => name === 'store') : [], [])
  }
})
