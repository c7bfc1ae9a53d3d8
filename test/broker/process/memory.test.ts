// persistence: false: sessions, queues and retained messages work, but are kept only in memory.

import { existsSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { connect, messages, open } from '../mqtt-client.js'
import { startListening } from '../listeners/listening.js'

t.test('sessions and messages in memory do not survive a restart', async t => {
  const folder = t.testdir({})
  const away = { clientId: 'away', clean: false } as const
  const first = await startListening(t, folder, [[]], ['persistence: false'])
  const reader = await connect(t, first.url, away)
  await reader.subscribeAsync(['queued', 'gone'], { qos: 2 })
  await reader.unsubscribeAsync('gone')
  await reader.endAsync()
  const publisher = await connect(t, first.url)
  await publisher.publishAsync('kept', 'x', { qos: 1, retain: true })
  for (let i = 0; i < 20; i++) await publisher.publishAsync('queued', String(i), { qos: 1 })
  await publisher.publishAsync('gone', 'x', { qos: 2 })
  const back = open(t, first.url, away)
  t.same(
    await messages(back, 20),
    Array.from({ length: 20 }, (_, i) => `queued ${i}`)
  )
  const got = messages(back, 1)
  await back.subscribeAsync('kept')
  t.same(await got, ['kept x'])
  t.match(await first.stop(), { code: 0 })
  t.notOk(existsSync(path.join(folder, 'data', 'store')))

  const second = await startListening(t, folder, [[]], ['persistence: false'])
  const again = await connect(t, second.url, away)
  const later = messages(again, 1)
  await again.subscribeAsync(['kept', 'last'])
  await again.publishAsync('last', 'x', { qos: 1 })
  t.same(await later, ['last x'], 'nothing of the first run is left')
})
