// No message arrives above the QoS that its subscription was granted [MQTT-3.8.4-8].

import type { QoS } from 'mqtt-packet'
import { numbers, type SessionClient } from './session-client.js'
import { onEveryWay, RETURNS, type Way } from './ways.js'

const QOS: readonly QoS[] = [0, 1, 2]
/** Filters for `NAME/QOS/leaf`, as they are written below a way's name. */
const FORMS: Readonly<Record<string, (name: string) => string>> = {
  exact: name => `${name}/leaf`,
  plus: name => `${name}/+`,
  hash: name => `${name}/#`
}

/** A client with each form of filter at each QoS. */
async function subscribeAll(way: Way, clean: boolean): Promise<SessionClient> {
  const client = await way.connect({ clientId: way.name(`client ${clean}`), clean, acknowledges: true })
  await client.watch()
  for (const granted of QOS) {
    for (const [form, filterOf] of Object.entries(FORMS))
      await client.subscribe([[filterOf(way.name(`${form}/${granted}`)), granted]])
  }
  return client
}

/** Publishes at each QoS to all of its filters. */
async function publishAll(way: Way, retain = false): Promise<void> {
  const publisher = await way.visitor('publisher')
  for (const form of Object.keys(FORMS)) {
    for (const granted of QOS) {
      for (const qos of QOS)
        await publisher.publish(way.name(`${form}/${granted}/leaf`), `${form} ${granted} ${qos}`, { qos, retain })
    }
  }
  await publisher.leave()
}

/** What is due: each message at the lower QoS. */
function due(isStored: boolean): string[] {
  const all = Object.keys(FORMS).flatMap(form =>
    QOS.flatMap(granted => QOS.map(qos => [`${form} ${granted} ${qos}`, Math.min(granted, qos)] as const))
  )
  return all
    .filter(([, qos]) => !isStored || qos > 0)
    .map(([payload, qos]) => `${payload} at ${qos}`)
    .sort()
}

async function arrived(client: SessionClient): Promise<string[]> {
  return (await client.caughtUp()).map(({ payload, qos }) => `${payload.toString()} at ${qos}`).sort()
}

for (const clean of [true, false]) {
  onEveryWay(`live, to a ${clean ? 'clean' : 'lasting'} session`, async (t, way) => {
    const client = await subscribeAll(way, clean)
    await publishAll(way)
    t.same(await arrived(client), due(false))
  })
}

for (const how of RETURNS) {
  onEveryWay(`live, to a session that was taken up after ${how}`, async (t, way) => {
    const client = await way.back(await subscribeAll(way, false), how)
    await publishAll(way)
    t.same(await arrived(client), due(false))
  })
}

for (const how of ['a lost connection', 'a restart'] as const) {
  onEveryWay(`from the queue, after ${how}`, async (t, way) => {
    const client = await subscribeAll(way, false)
    await client.leave()
    await publishAll(way)
    t.same(
      (await arrived(await way.back(client, how))).filter(line => !line.endsWith('0')),
      due(true)
    )
  })
}

onEveryWay('from the queue behind a full window', async (t, way) => {
  const client = await way.connect({ clientId: way.name('client') })
  await client.subscribe([[way.name('+'), 1]])
  const publisher = await way.visitor('publisher')
  await publisher.publishAll(way.name('t'), numbers(40), { qos: 2 })
  client.acknowledgeAll()
  t.same(
    (await client.messages(40)).map(({ qos }) => qos),
    Array(40).fill(1)
  )
})

onEveryWay('retained', async (t, way) => {
  const publisher = await way.visitor('publisher')
  for (const qos of QOS) await publisher.publish(way.name(`kept/${qos}`), 'kept', { qos, retain: true })
  for (const clean of [true, false]) {
    for (const granted of QOS) {
      for (const filters of [QOS.map(qos => way.name(`kept/${qos}`)), [way.name('kept/+')], [way.name('kept/#')]]) {
        const client = await way.connect({ clientId: way.name(`client ${clean}`), clean, acknowledges: true })
        await client.subscribe(filters.map(filter => [filter, granted]))
        t.same(
          (await client.messages(3)).map(({ topic, qos }) => `${topic} at ${qos}`).sort(),
          QOS.map(qos => `${way.name(`kept/${qos}`)} at ${Math.min(qos, granted)}`),
          `${filters.join()} at ${granted}`
        )
        await client.unsubscribe(...filters)
        await client.leave()
      }
    }
  }
})

for (const clean of [true, false]) {
  const session = clean ? 'clean session' : 'lasting session'
  onEveryWay(
    `a client at QoS 0 that acknowledges nothing gets 100 retained messages of QoS 1; ${session}`,
    async (t, way) => {
      const publisher = await way.visitor('publisher')
      for (let number = 0; number < 100; number++)
        await publisher.publish(way.name(`kept/${number}`), 'kept', { retain: true })
      const client = await way.connect({ clientId: way.name('client'), clean })
      t.same(await client.subscribe([[way.name('kept/#'), 0]]), [0])
      t.same(new Set((await client.messages(100)).map(({ qos }) => qos)), new Set([0]))
    }
  )
}
