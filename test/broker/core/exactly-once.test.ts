// QoS 2 delivers exactly once, for a kill at any point of the handshake and a resume by either side [MQTT-4.3.3-2],
// [MQTT-4.3.3-3].

import type { IPublishPacket } from 'mqtt-packet'
import { TRANSPORTS } from './transports.js'
import { numbers, type SessionClient } from './session-client.js'
import { onEachTransport, type Variant } from './variants.js'

const SOME = numbers(20)
/** Enough messages for a kill in the middle. */
const MANY = numbers(150)
/** Allows all messages to be in flight. */
const settings = { limits: { inflightMessages: 1_000 } }

/** The QoS 2 messages that a receiver passes to its application, by its record of packet identifiers. */
class Application {
  readonly got: string[] = []
  readonly #unreleased = new Set<number>()
  #read = 0

  /** Processes new packets, without replies. */
  take(client: SessionClient): void {
    for (const packet of client.received.slice(this.#read)) {
      if (packet.cmd === 'publish' && packet.topic.endsWith('/t')) this.#publish(packet)
      if (packet.cmd === 'pubrel') this.#unreleased.delete(packet.messageId ?? 0)
    }
    this.#read = client.received.length
  }

  /** Starts with the packets of a new connection. */
  reconnected(): void {
    this.#read = 0
  }

  #publish({ messageId = 0, payload }: IPublishPacket): void {
    if (this.#unreleased.has(messageId)) return
    this.#unreleased.add(messageId)
    this.got.push(payload.toString())
  }
}

async function subscriber(variant: Variant): Promise<SessionClient> {
  const client = await variant.connect({ clientId: variant.name('subscriber') })
  await client.subscribeMarker()
  await client.subscribe([[variant.name('t'), 2]])
  return client
}

/**
 * Resumes a publisher: sends PUBREL for messages with a PUBREC, and the other messages again [MQTT-4.4.0-1].
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

/** Points at which the broker is killed, by what the publisher has sent and received. */
const PUBLISHER_CUTS: Readonly<Record<string, Cut>> = {
  'PUBLISH is sent': async () => {},
  'PUBREC is received': async (publisher, packets) => {
    await take(publisher, 'pubrec', packets.length)
  },
  'PUBREL is sent': async (publisher, packets) => {
    await take(publisher, 'pubrec', packets.length)
    for (const { messageId } of packets) publisher.send({ cmd: 'pubrel', messageId })
  },
  'PUBCOMP is received': async (publisher, packets) => {
    await Promise.all(packets.map(packet => publisher.finish(packet)))
  }
}

/** Publishes, kills the broker and resumes; returns what the subscriber's application receives. */
async function cutPublisher(variant: Variant, payloads: readonly string[], cut: Cut): Promise<string[]> {
  const live = await subscriber(variant)
  live.acknowledgeAll()
  const application = new Application()
  const publisher = await variant.connect({ clientId: variant.name('publisher') })
  const packets = payloads.map(payload => publisher.publishPacket(variant.name('t'), payload, { qos: 2 }))
  publisher.send(...packets)
  await cut(publisher, packets)
  await variant.restart()
  application.take(live)
  application.reconnected()
  const back = await variant.connect({ ...live.options, acknowledges: true })
  await resume(await variant.connect(publisher.options), packets, publisher)
  await back.messagesSoFar()
  application.take(back)
  return application.got
}

for (const [when, cut] of Object.entries(PUBLISHER_CUTS)) {
  onEachTransport(
    `a publisher resumes after a kill when ${when}`,
    async (t, variant) => {
      t.same(await cutPublisher(variant, SOME, cut), SOME)
    },
    { settings }
  )
}

for (const [count, transports] of [
  [1, ['TCP']],
  [30, TRANSPORTS.slice(1)]
] as const) {
  onEachTransport(
    `a publisher resumes after a kill when ${count} of ${MANY.length} PUBRECs are received`,
    async (t, variant) => {
      t.same(
        await cutPublisher(variant, MANY, async publisher => {
          await take(publisher, 'pubrec', count)
        }),
        MANY
      )
    },
    { settings, transports, alone: true }
  )
}

/** Points at which the broker is killed, by what the subscriber has done. */
const SUBSCRIBER_CUTS: Readonly<
  Record<string, (subscriber: SessionClient, messages: readonly IPublishPacket[]) => Promise<void>>
> = {
  'PUBLISH is received': async () => {},
  'PUBREC is sent': async (subscriber, messages) => {
    subscriber.acknowledge(...messages)
  },
  'PUBREL is received': async (subscriber, messages) => {
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
  onEachTransport(
    `a subscriber resumes after a kill when ${when}`,
    async (t, variant) => {
      const client = await subscriber(variant)
      const publisher = await variant.connectClean('publisher')
      await publisher.publishAll(variant.name('t'), SOME, { qos: 2 })
      const application = new Application()
      await cut(client, await client.messages(20))
      await variant.restart()
      application.take(client)
      application.reconnected()
      const back = await variant.connect({ ...client.options, acknowledges: true })
      await (await variant.connectClean('publisher')).publish(variant.name('t'), 'last', { qos: 2 })
      await back.messagesSoFar()
      application.take(back)
      t.same(application.got, [...SOME, 'last'])
    },
    { settings }
  )
}

onEachTransport(
  'publisher and subscriber both resume after each packet',
  async (t, variant) => {
    const application = new Application()
    let receiver = await subscriber(variant)
    let sender = await variant.connect({ clientId: variant.name('publisher') })
    const packet = sender.publishPacket(variant.name('t'), 'once', { qos: 2 })
    const resumeBoth = async (): Promise<void> => {
      application.take(receiver)
      application.reconnected()
      const clients = await variant.reconnectAll([receiver, sender], 'a restart')
      receiver = clients[0]
      sender = clients[1]
    }
    sender.send(packet)
    await sender.next('pubrec')
    await resumeBoth()
    sender.send({ cmd: 'pubrel', messageId: packet.messageId })
    await sender.next('pubcomp')
    const { messageId } = await receiver.next('publish')
    await resumeBoth()
    receiver.acknowledge(await receiver.next('publish', again => again.messageId === messageId))
    await receiver.next('pubrel')
    await resumeBoth()
    await receiver.next('pubrel', again => again.messageId === messageId)
    receiver.send({ cmd: 'pubcomp', messageId })
    await receiver.settled()
    sender.send({ ...packet, dup: true })
    await sender.finish(packet)
    await resumeBoth()
    receiver.acknowledgeAll()
    await receiver.messagesSoFar()
    application.take(receiver)
    // Its identifier was free again, so the last PUBLISH was a new message.
    t.same(application.got, ['once', 'once'])
  },
  { settings }
)

onEachTransport('PUBREL with an unknown packet identifier gets a PUBCOMP', async (t, variant) => {
  const client = await variant.connectClean()
  client.send({ cmd: 'pubrel', messageId: 77 })
  t.equal((await client.next('pubcomp')).messageId, 77)
})
