// QoS 2 is exactly once, wherever in the handshake a kill falls and whoever resumes [MQTT-4.3.3-2], [MQTT-4.3.3-3].

import type { IPublishPacket } from 'mqtt-packet'
import { CARRIERS } from './carriers.js'
import { numbers, type SessionClient } from './session-client.js'
import { onEveryWay, type Way } from './ways.js'

const SOME = numbers(20)
/** Enough for a kill to fall among them. */
const MANY = numbers(150)
/** So that all of them may be under way. */
const settings = { limits: { inflightMessages: 1_000 } }

/** What an application is given of QoS 2, by the receiver's own record of packet identifiers. */
class Application {
  readonly got: string[] = []
  readonly #unreleased = new Set<number>()
  #read = 0

  /** Reads on in what came, and does not answer. */
  take(client: SessionClient): void {
    for (const packet of client.received.slice(this.#read)) {
      if (packet.cmd === 'publish' && packet.topic.endsWith('/t')) this.#publish(packet)
      if (packet.cmd === 'pubrel') this.#unreleased.delete(packet.messageId ?? 0)
    }
    this.#read = client.received.length
  }

  /** The connection is another. */
  reconnected(): void {
    this.#read = 0
  }

  #publish({ messageId = 0, payload }: IPublishPacket): void {
    if (this.#unreleased.has(messageId)) return
    this.#unreleased.add(messageId)
    this.got.push(payload.toString())
  }
}

async function subscriber(way: Way): Promise<SessionClient> {
  const client = await way.connect({ clientId: way.name('subscriber') })
  await client.watch()
  await client.subscribe([[way.name('t'), 2]])
  return client
}

/**
 * The publisher's part after a reconnect: PUBREL for what has its PUBREC, the message again for what has none
 * [MQTT-4.4.0-1].
 */
async function resume(
  publisher: SessionClient,
  packets: readonly IPublishPacket[],
  before: SessionClient
): Promise<void> {
  const [received, completed] = [idsOf(before, 'pubrec'), idsOf(before, 'pubcomp')]
  const open = packets.filter(({ messageId = 0 }) => !completed.has(messageId))
  for (const packet of open) {
    if (received.has(packet.messageId ?? 0)) publisher.send({ cmd: 'pubrel', messageId: packet.messageId })
    else publisher.send({ ...packet, dup: true })
  }
  await Promise.all(
    open.map(async packet => {
      if (received.has(packet.messageId ?? 0))
        await publisher.next('pubcomp', ({ messageId }) => messageId === packet.messageId)
      else await publisher.finish(packet)
    })
  )
}

function idsOf(client: SessionClient, cmd: 'pubrec' | 'pubcomp'): Set<number> {
  return new Set(client.received.filter(packet => packet.cmd === cmd).map(({ messageId }) => messageId ?? 0))
}

type Cut = (publisher: SessionClient, packets: readonly IPublishPacket[]) => Promise<void>

async function take(client: SessionClient, cmd: 'pubrec' | 'pubcomp', count: number): Promise<void> {
  for (let taken = 0; taken < count; taken++) await client.next(cmd)
}

/** When the broker is killed: by what the publisher has sent and seen. */
const PUBLISHER_CUTS: Readonly<Record<string, Cut>> = {
  'PUBLISH is sent': async () => {},
  'PUBREC has come': async (publisher, packets) => {
    await take(publisher, 'pubrec', packets.length)
  },
  'PUBREL is sent': async (publisher, packets) => {
    await take(publisher, 'pubrec', packets.length)
    for (const { messageId } of packets) publisher.send({ cmd: 'pubrel', messageId })
  },
  'PUBCOMP has come': async (publisher, packets) => {
    await Promise.all(packets.map(packet => publisher.finish(packet)))
  }
}

/** Publishes, has the broker killed, and resumes; what the subscriber's application is given. */
async function cutPublisher(way: Way, payloads: readonly string[], cut: Cut): Promise<string[]> {
  const live = await subscriber(way)
  live.acknowledgeAll()
  const application = new Application()
  const publisher = await way.connect({ clientId: way.name('publisher') })
  const packets = payloads.map(payload => publisher.publishPacket(way.name('t'), payload, { qos: 2 }))
  publisher.send(...packets)
  await cut(publisher, packets)
  await way.restart()
  application.take(live)
  application.reconnected()
  const back = await way.connect({ ...live.options, acknowledges: true })
  await resume(await way.connect(publisher.options), packets, publisher)
  await back.caughtUp()
  application.take(back)
  return application.got
}

for (const [when, cut] of Object.entries(PUBLISHER_CUTS)) {
  onEveryWay(
    `a publisher that resumes after a kill when ${when}`,
    async (t, way) => {
      t.same(await cutPublisher(way, SOME, cut), SOME)
    },
    { settings }
  )
}

for (const [count, carriers] of [
  [1, ['TCP']],
  [30, CARRIERS.slice(1)]
] as const) {
  onEveryWay(
    `a publisher that resumes after a kill when ${count} of ${MANY.length} PUBRECs have come`,
    async (t, way) => {
      t.same(
        await cutPublisher(way, MANY, async publisher => {
          await take(publisher, 'pubrec', count)
        }),
        MANY
      )
    },
    { settings, carriers, alone: true }
  )
}

/** What of a message the subscriber has done when the broker is killed. */
const SUBSCRIBER_CUTS: Readonly<
  Record<string, (subscriber: SessionClient, messages: readonly IPublishPacket[]) => Promise<void>>
> = {
  'PUBLISH has come': async () => {},
  'PUBREC is sent': async (subscriber, messages) => {
    subscriber.acknowledge(...messages)
  },
  'PUBREL has come': async (subscriber, messages) => {
    subscriber.acknowledge(...messages)
    for (const { messageId } of messages) await subscriber.next('pubrel', packet => packet.messageId === messageId)
  },
  'PUBCOMP is sent': async (subscriber, messages) => {
    await subscriber.complete(...messages)
  },
  'PUBCOMP is read': async (subscriber, messages) => {
    await subscriber.complete(...messages)
    await subscriber.settled()
  }
}

for (const [when, cut] of Object.entries(SUBSCRIBER_CUTS)) {
  onEveryWay(
    `a subscriber that resumes after a kill when ${when}`,
    async (t, way) => {
      const client = await subscriber(way)
      const publisher = await way.visitor('publisher')
      await publisher.publishAll(way.name('t'), SOME, { qos: 2 })
      const application = new Application()
      await cut(client, await client.messages(20))
      await way.restart()
      application.take(client)
      application.reconnected()
      const back = await way.connect({ ...client.options, acknowledges: true })
      await (await way.visitor('publisher')).publish(way.name('t'), 'last', { qos: 2 })
      await back.caughtUp()
      application.take(back)
      t.same(application.got, [...SOME, 'last'])
    },
    { settings }
  )
}

onEveryWay(
  'a publisher and a subscriber that both resume, message by message',
  async (t, way) => {
    const application = new Application()
    let receiver = await subscriber(way)
    let sender = await way.connect({ clientId: way.name('publisher') })
    const packet = sender.publishPacket(way.name('t'), 'once', { qos: 2 })
    const back = async (): Promise<void> => {
      application.take(receiver)
      application.reconnected()
      const clients = await way.backAll([receiver, sender], 'a restart')
      receiver = clients[0]
      sender = clients[1]
    }
    sender.send(packet)
    await sender.next('pubrec')
    await back()
    sender.send({ cmd: 'pubrel', messageId: packet.messageId })
    await sender.next('pubcomp')
    const { messageId } = await receiver.next('publish')
    await back()
    receiver.acknowledge(await receiver.next('publish', again => again.messageId === messageId))
    await receiver.next('pubrel')
    await back()
    await receiver.next('pubrel', again => again.messageId === messageId)
    receiver.send({ cmd: 'pubcomp', messageId })
    await receiver.settled()
    sender.send({ ...packet, dup: true })
    await sender.finish(packet)
    await back()
    receiver.acknowledgeAll()
    await receiver.caughtUp()
    application.take(receiver)
    // Its identifier was free again: what came last was a message of its own.
    t.same(application.got, ['once', 'once'])
  },
  { settings }
)

onEveryWay('PUBREL for what the broker does not know is answered', async (t, way) => {
  const client = await way.visitor()
  client.send({ cmd: 'pubrel', messageId: 77 })
  t.equal((await client.next('pubcomp')).messageId, 77)
})
