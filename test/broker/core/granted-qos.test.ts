// No message is delivered above the granted QoS of its subscription [MQTT-3.8.4-8].

import type { QoS } from 'mqtt-packet'
import { numbers, type SessionClient } from './session-client.js'
import { onEachTransport, RECONNECTS, type Variant } from './variants.js'

const QOS: readonly QoS[] = [0, 1, 2]
/** Filters that match `NAME/QOS/leaf`. */
const FORMS: Readonly<Record<string, (name: string) => string>> = {
  exact: name => `${name}/leaf`,
  plus: name => `${name}/+`,
  hash: name => `${name}/#`
}

/** Connects a client with each kind of filter at each QoS. */
async function subscribeAll(variant: Variant, clean: boolean): Promise<SessionClient> {
  const client = await variant.connect({ clientId: variant.name(`client ${clean}`), clean, acknowledges: true })
  await client.subscribeMarker()
  for (const granted of QOS) {
    for (const [form, filterOf] of Object.entries(FORMS))
      await client.subscribe([[filterOf(variant.name(`${form}/${granted}`)), granted]])
  }
  return client
}

/** Publishes at each QoS to a topic of each filter. */
async function publishAll(variant: Variant, retain = false): Promise<void> {
  const publisher = await variant.connectClean('publisher')
  for (const form of Object.keys(FORMS)) {
    for (const granted of QOS) {
      for (const qos of QOS)
        await publisher.publish(variant.name(`${form}/${granted}/leaf`), `${form} ${granted} ${qos}`, { qos, retain })
    }
  }
  await publisher.disconnect()
}

/** Expected messages: each at the lower QoS. */
function expected(isStored: boolean): string[] {
  const all = Object.keys(FORMS).flatMap(form =>
    QOS.flatMap(granted => QOS.map(qos => [`${form} ${granted} ${qos}`, Math.min(granted, qos)] as const))
  )
  return all
    .filter(([, qos]) => !isStored || qos > 0)
    .map(([payload, qos]) => `${payload} at ${qos}`)
    .sort()
}

async function arrived(client: SessionClient): Promise<string[]> {
  return (await client.messagesSoFar()).map(({ payload, qos }) => `${payload.toString()} at ${qos}`).sort()
}

for (const clean of [true, false]) {
  onEachTransport(`live, to a ${clean ? 'clean' : 'persistent'} session`, async (t, variant) => {
    const client = await subscribeAll(variant, clean)
    await publishAll(variant)
    t.same(await arrived(client), expected(false))
  })
}

for (const how of RECONNECTS) {
  onEachTransport(`live, to a session resumed after ${how}`, async (t, variant) => {
    const client = await variant.reconnect(await subscribeAll(variant, false), how)
    await publishAll(variant)
    t.same(await arrived(client), expected(false))
  })
}

for (const how of ['a lost connection', 'a restart'] as const) {
  onEachTransport(`from the queue, after ${how}`, async (t, variant) => {
    const client = await subscribeAll(variant, false)
    await client.disconnect()
    await publishAll(variant)
    t.same(
      (await arrived(await variant.reconnect(client, how))).filter(line => !line.endsWith('0')),
      expected(true)
    )
  })
}

onEachTransport('from the queue, behind a full in-flight window', async (t, variant) => {
  const client = await variant.connect({ clientId: variant.name('client') })
  await client.subscribe([[variant.name('+'), 1]])
  const publisher = await variant.connectClean('publisher')
  await publisher.publishAll(variant.name('t'), numbers(40), { qos: 2 })
  client.acknowledgeAll()
  t.same(
    (await client.messages(40)).map(({ qos }) => qos),
    Array(40).fill(1)
  )
})

onEachTransport('retained', async (t, variant) => {
  const publisher = await variant.connectClean('publisher')
  for (const qos of QOS) await publisher.publish(variant.name(`kept/${qos}`), 'kept', { qos, retain: true })
  for (const clean of [true, false]) {
    for (const granted of QOS) {
      for (const filters of [
        QOS.map(qos => variant.name(`kept/${qos}`)),
        [variant.name('kept/+')],
        [variant.name('kept/#')]
      ]) {
        const client = await variant.connect({ clientId: variant.name(`client ${clean}`), clean, acknowledges: true })
        await client.subscribe(filters.map(filter => [filter, granted]))
        t.same(
          (await client.messages(3)).map(({ topic, qos }) => `${topic} at ${qos}`).sort(),
          QOS.map(qos => `${variant.name(`kept/${qos}`)} at ${Math.min(qos, granted)}`),
          `${filters.join()} at ${granted}`
        )
        await client.unsubscribe(...filters)
        await client.disconnect()
      }
    }
  }
})

for (const clean of [true, false]) {
  const session = clean ? 'clean session' : 'persistent session'
  onEachTransport(
    `a QoS 0 client that acknowledges nothing gets 100 retained QoS 1 messages; ${session}`,
    async (t, variant) => {
      const publisher = await variant.connectClean('publisher')
      for (let number = 0; number < 100; number++)
        await publisher.publish(variant.name(`kept/${number}`), 'kept', { retain: true })
      const client = await variant.connect({ clientId: variant.name('client'), clean })
      t.same(await client.subscribe([[variant.name('kept/#'), 0]]), [0])
      t.same(new Set((await client.messages(100)).map(({ qos }) => qos)), new Set([0]))
    }
  )
}
