// What was sent and not acknowledged is sent again: with DUP, the same packet identifiers, and in the same order.

import type { Test } from 'tap'
import type { IPublishPacket, QoS } from 'mqtt-packet'
import { payloadsOf, type SessionClient } from './session-client.js'
import { onEveryWay, RETURNS, type Return, type Way } from './ways.js'

const QOS: readonly QoS[] = [1, 2, 2, 1, 1, 2, 1, 2]

async function open(way: Way): Promise<SessionClient> {
  const client = await way.connect({ clientId: way.name('client') })
  await client.subscribe([[way.name('#'), 2]])
  return client
}

async function publish(
  way: Way,
  first: number,
  qos: readonly QoS[],
  options: { retain?: boolean } = {}
): Promise<void> {
  const publisher = await way.visitor('publisher')
  for (const [index, one] of qos.entries())
    await publisher.publish(way.name(`t/${index % 2}`), String(first + index), { qos: one, ...options })
  await publisher.leave()
}

function shown({ payload, qos, messageId, dup }: IPublishPacket): unknown[] {
  return [payload.toString(), qos, messageId, dup]
}

/** Takes messages, comes back, and takes them again, twice. */
async function comeAgain(test: Test, way: Way, how: Return): Promise<void> {
  const client = await open(way)
  await publish(way, 0, QOS)
  const first = await client.messages(QOS.length)
  test.same(
    first.map(({ dup }) => dup),
    QOS.map(() => false)
  )
  test.equal(new Set(first.map(({ messageId }) => messageId)).size, QOS.length)
  const back = await way.back(client, how)
  const again = await back.messages(QOS.length)
  test.same(
    again.map(shown),
    first.map(message => shown({ ...message, dup: true }))
  )
  const last = await (await way.back(back, how)).messages(QOS.length)
  test.same(last.map(shown), again.map(shown), 'and once more')
}

onEveryWay(
  'messages of QoS 1 and 2, after a stop',
  async (t, way) => {
    await comeAgain(t, way, 'a restart')
  },
  { signal: 'SIGTERM' }
)

for (const how of RETURNS) {
  onEveryWay(`messages of QoS 1 and 2, after ${how} [MQTT-4.4.0-1], [MQTT-3.3.1-1], [MQTT-4.6.0-1]`, async (t, way) => {
    await comeAgain(t, way, how)
  })

  onEveryWay(`what was acknowledged does not come again, what came meanwhile does, after ${how}`, async (t, way) => {
    const client = await open(way)
    await publish(way, 0, QOS)
    const sent = await client.messages(QOS.length)
    // Each second one, to the end.
    await client.complete(...sent.filter((_, index) => index % 2 === 0))
    await client.settled()
    const left = sent.filter((_, index) => index % 2 === 1)
    if (how === 'a lost connection') {
      await client.leave()
      await publish(way, QOS.length, [1, 2])
    }
    const back = await way.back(client, how)
    if (how !== 'a lost connection') await publish(way, QOS.length, [1, 2])
    const got = await back.messages(left.length + 2)
    t.same(
      got.slice(0, left.length).map(shown),
      left.map(message => shown({ ...message, dup: true }))
    )
    t.same(
      got.slice(left.length).map(({ payload, dup }) => [payload.toString(), dup]),
      [
        ['8', false],
        ['9', false]
      ]
    )
    t.equal(new Set(got.map(({ messageId }) => messageId)).size, got.length)
  })

  onEveryWay(`PUBREL instead of a message that was received, after ${how}`, async (t, way) => {
    const client = await open(way)
    await publish(way, 0, [2, 2, 1, 2])
    const sent = await client.messages(4)
    client.acknowledge(...sent.slice(0, 2))
    const released = [await client.next('pubrel'), await client.next('pubrel')].map(({ messageId }) => messageId)
    const back = await way.back(client, how)
    t.same(
      [await back.next('pubrel'), await back.next('pubrel')].map(({ messageId }) => messageId),
      released
    )
    t.same(
      (await back.messages(2)).map(({ payload, dup }) => [payload.toString(), dup]),
      [
        ['2', true],
        ['3', true]
      ]
    )
    for (const messageId of released) back.send({ cmd: 'pubcomp', messageId })
    await back.settled()
    const last = await way.back(back, how)
    t.same(payloadsOf(await last.messages(2)), ['2', '3'])
    await publish(way, 4, [1])
    await last.next('publish')
    t.same(last.drain('pubrel'), [], 'none that was completed')
  })

  onEveryWay(`retained messages that SUBSCRIBE brought, after ${how}`, async (t, way) => {
    await publish(way, 0, [1, 2], { retain: true })
    const client = await open(way)
    const sent = await client.messages(2)
    t.same(
      sent.map(({ retain }) => retain),
      [true, true]
    )
    const again = await (await way.back(client, how)).messages(2)
    t.same(
      again.map(shown),
      sent.map(message => shown({ ...message, dup: true }))
    )
    t.same(
      again.map(({ retain }) => retain),
      [true, true]
    )
  })

  onEveryWay(`what waited behind a full window comes behind it, for the first time, after ${how}`, async (t, way) => {
    const client = await open(way)
    await publish(way, 0, Array<QoS>(30).fill(1))
    const sent = await client.messages(20)
    const back = await way.back(client, how)
    t.same(
      (await back.messages(20)).map(shown),
      sent.map(message => shown({ ...message, dup: true }))
    )
    back.acknowledge(...sent)
    back.acknowledgeAll()
    const rest = Array.from({ length: 10 }, (_, i) => [String(20 + i), false])
    t.same(
      (await back.messages(10)).map(({ payload, dup }) => [payload.toString(), dup]),
      rest
    )
  })
}

onEveryWay('a message that was not stored for a clean session does not come again', async (t, way) => {
  const client = await way.visitor('client', { acknowledges: false })
  await client.subscribe([[way.name('#'), 1]])
  await publish(way, 0, [1, 1])
  await client.messages(2)
  const back = await way.back(client, 'a takeover')
  await back.subscribe([[way.name('#'), 1]])
  await publish(way, 2, [1])
  t.same(
    (await back.messages(1)).map(({ payload, dup }) => [payload.toString(), dup]),
    [['2', false]]
  )
})

onEveryWay('what comes with DUP is sent on without it [MQTT-3.3.1-3]', async (t, way) => {
  const client = await open(way)
  const publisher = await way.visitor('publisher')
  for (const qos of [1, 2] as const) {
    await publisher.publish(way.name('t'), String(qos), { qos, dup: true })
    t.match(await client.next('publish'), { qos, dup: false })
  }
})
