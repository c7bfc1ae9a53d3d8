// What the broker acknowledged is there after it was killed, three times under load.

import t from 'tap'
import { startProgram, startSmall } from '../../bench/durability/brokers.js'
import { killAgainAndAgain } from '../../bench/durability/kills.js'
import { connectClient, endClient } from '../support/clients.js'
import { waitUntil } from '../support/wait-until.js'

const plan = { kills: 3, publishers: 4, window: 20, longestMs: 400 }

t.test('no acknowledged message is lost', async t => {
  const folder = t.testdir({})
  const { kills, acknowledged, lost } = await killAgainAndAgain(() => startProgram(folder), plan)
  t.equal(kills, 3)
  t.ok(acknowledged > 30, `${acknowledged} acknowledged`)
  t.equal(lost, 0)
})

t.test('as Aedes alone would: this would notice', async t => {
  const folder = t.testdir({})
  const { lost } = await killAgainAndAgain(() => startSmall(folder, 'direct'), { ...plan, kills: 2, publishers: 8, window: 100 })
  t.ok(lost > 0)
})

t.test('the small brokers of the measurements deliver, too', async t => {
  for (const writes of ['held', 'direct'] as const) {
    const broker = await startSmall(t.testdir({}), writes)
    t.teardown(() => broker.kill())
    const client = await connectClient(broker)
    t.teardown(() => endClient(client))
    let got = 0
    client.on('message', () => { got++ })
    await client.subscribeAsync('load', { qos: 1 })
    await Promise.all(Array.from({ length: 100 }, async () => await client.publishAsync('load', 'x', { qos: 1 })))
    await waitUntil(`100 messages with writes ${writes}`, () => got === 100)
    t.equal(got, 100)
    await endClient(client)
    await broker.kill()
  }
})
