// Unacknowledged messages are sent again: with DUP, the same packet identifiers, and in the same order.

import type { Test } from 'tap'
import type { IPublishPacket, QoS } from 'mqtt-packet'
import { payloadsOf, type SessionClient } from './session-client.js'
import { onEachTransport, RECONNECTS, type Reconnect, type Variant } from './variants.js'

const QOS: readonly QoS[] = [1, 2, 2, 1, 1, 2, 1, 2]

async function open(variant: Variant): Promise<SessionClient> {
  const client = await variant.connect({ clientId: variant.name('client') })
  await client.subscribe([[variant.name('#'), 2]])
  return client
}

async function publish(
  variant: Variant,
  first: number,
  qos: readonly QoS[],
  options: { retain?: boolean } = {}
): Promise<void> {
  const publisher = await variant.connectClean('publisher')
  for (const [index, one] of qos.entries())
    await publisher.publish(variant.name(`t/${index % 2}`), String(first + index), { qos: one, ...options })
  await publisher.disconnect()
}

function shown({ payload, qos, messageId, dup }: IPublishPacket): unknown[] {
  return [payload.toString(), qos, messageId, dup]
}

/** Receives messages, and receives them again after each of two reconnects. */
async function expectRedelivery(test: Test, variant: Variant, how: Reconnect): Promise<void> {
  const client = await open(variant)
  await publish(variant, 0, QOS)
  const first = await client.messages(QOS.length)
  test.same(
    first.map(({ dup }) => dup),
    QOS.map(() => false)
  )
  test.equal(new Set(first.map(({ messageId }) => messageId)).size, QOS.length)
  const back = await variant.reconnect(client, how)
  const again = await back.messages(QOS.length)
  test.same(
    again.map(shown),
    first.map(message => shown({ ...message, dup: true }))
  )
  const last = await (await variant.reconnect(back, how)).messages(QOS.length)
  test.same(last.map(shown), again.map(shown), 'third time')
}

onEachTransport(
  'messages of QoS 1 and 2, after a stop',
  async (t, variant) => {
    await expectRedelivery(t, variant, 'a restart')
  },
  { signal: 'SIGTERM' }
)

for (const how of RECONNECTS) {
  onEachTransport(
    `messages of QoS 1 and 2, after ${how} [MQTT-4.4.0-1], [MQTT-3.3.1-1], [MQTT-4.6.0-1]`,
    async (t, variant) => {
      await expectRedelivery(t, variant, how)
    }
  )

  onEachTransport(`acknowledged messages are not sent again, new ones are, after ${how}`, async (t, variant) => {
    const client = await open(variant)
    await publish(variant, 0, QOS)
    const sent = await client.messages(QOS.length)
    // Every second one.
    await client.complete(...sent.filter((_, index) => index % 2 === 0))
    await client.settled()
    const left = sent.filter((_, index) => index % 2 === 1)
    if (how === 'a lost connection') {
      await client.disconnect()
      await publish(variant, QOS.length, [1, 2])
    }
    const back = await variant.reconnect(client, how)
    if (how !== 'a lost connection') await publish(variant, QOS.length, [1, 2])
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

  onEachTransport(`PUBREL instead of a message with a PUBREC, after ${how}`, async (t, variant) => {
    const client = await open(variant)
    await publish(variant, 0, [2, 2, 1, 2])
    const sent = await client.messages(4)
    client.acknowledge(...sent.slice(0, 2))
    const released = [await client.next('pubrel'), await client.next('pubrel')].map(({ messageId }) => messageId)
    const back = await variant.reconnect(client, how)
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
    const last = await variant.reconnect(back, how)
    t.same(payloadsOf(await last.messages(2)), ['2', '3'])
    await publish(variant, 4, [1])
    await last.next('publish')
    t.same(last.drain('pubrel'), [], 'none after PUBCOMP')
  })

  onEachTransport(`retained messages after ${how}`, async (t, variant) => {
    await publish(variant, 0, [1, 2], { retain: true })
    const client = await open(variant)
    const sent = await client.messages(2)
    t.same(
      sent.map(({ retain }) => retain),
      [true, true]
    )
    const again = await (await variant.reconnect(client, how)).messages(2)
    t.same(
      again.map(shown),
      sent.map(message => shown({ ...message, dup: true }))
    )
    t.same(
      again.map(({ retain }) => retain),
      [true, true]
    )
  })

  onEachTransport(
    `messages queued behind a full in-flight window are sent after it, without DUP, after ${how}`,
    async (t, variant) => {
      const client = await open(variant)
      await publish(variant, 0, Array<QoS>(30).fill(1))
      const sent = await client.messages(20)
      const back = await variant.reconnect(client, how)
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
    }
  )
}

onEachTransport('unacknowledged messages of a clean session are not sent again', async (t, variant) => {
  const client = await variant.connectClean('client', { acknowledges: false })
  await client.subscribe([[variant.name('#'), 1]])
  await publish(variant, 0, [1, 1])
  await client.messages(2)
  const back = await variant.reconnect(client, 'a takeover')
  await back.subscribe([[variant.name('#'), 1]])
  await publish(variant, 2, [1])
  t.same(
    (await back.messages(1)).map(({ payload, dup }) => [payload.toString(), dup]),
    [['2', false]]
  )
})

onEachTransport('a message received with DUP is forwarded without it [MQTT-3.3.1-3]', async (t, variant) => {
  const client = await open(variant)
  const publisher = await variant.connectClean('publisher')
  for (const qos of [1, 2] as const) {
    await publisher.publish(variant.name('t'), String(qos), { qos, dup: true })
    t.match(await client.next('publish'), { qos, dup: false })
  }
})
