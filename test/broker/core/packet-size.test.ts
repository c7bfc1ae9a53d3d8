// No packet to a client exceeds the Maximum Packet Size of its CONNECT [MQTT-3.1.2-24], [MQTT-3.1.2-25].

import type { Test } from 'tap'
import type { IConnectPacket } from 'mqtt-packet'
import { numbers, type SessionClient } from './session-client.js'
import { onEachTransport, RECONNECTS, type Variant } from './variants.js'

const only5 = { versions: [5] } as const
const MAXIMUM = 100

async function limitedClient(variant: Variant, properties: IConnectPacket['properties'] = {}): Promise<SessionClient> {
  const client = await variant.connect({
    clientId: variant.name('small'),
    acknowledges: true,
    properties: { sessionExpiryInterval: 100, maximumPacketSize: MAXIMUM, ...properties }
  })
  await client.subscribeMarker()
  return client
}

/** Publishes messages that fit and messages that are too large. */
async function publish(variant: Variant, retain = false): Promise<void> {
  const publisher = await variant.connectClean('publisher')
  for (const qos of [0, 1, 2] as const) {
    for (const [name, size] of [
      ['before', 1],
      ['large', 200],
      ['after', 1]
    ] as const) {
      await publisher.publish(variant.name(`t/${qos}/${name}`), 'x'.repeat(size), { qos, retain })
    }
  }
  // Too large with its properties.
  await publisher.publish(variant.name('t/1/properties'), 'x', {
    qos: 1,
    retain,
    properties: { contentType: 'x'.repeat(200) }
  })
  await publisher.disconnect()
}

/** Returns the names of received messages, and checks that none is too large. */
function namesOf(test: Test, client: SessionClient, messages: readonly { topic: string }[]): string[] {
  const largest = Math.max(...client.received.map(({ bytes }) => bytes.length))
  test.ok(largest <= MAXIMUM, `${largest} of ${MAXIMUM} bytes`)
  return messages.map(({ topic }) => topic.split('/').slice(-2).join('/'))
}

const FITS = ['0/before', '0/after', '1/before', '1/after', '2/before', '2/after']

onEachTransport(
  'live: messages that are too large are skipped',
  async (t, variant) => {
    const client = await limitedClient(variant)
    await client.subscribe([[variant.name('t/#'), 2]])
    await publish(variant)
    t.same(namesOf(t, client, await client.messagesSoFar()), FITS)
  },
  only5
)

for (const how of RECONNECTS) {
  onEachTransport(
    `from the queue, after ${how}`,
    async (t, variant) => {
      // The limit applies per connection.
      const first = await limitedClient(variant, { maximumPacketSize: 10_000 })
      first.acknowledges = false
      await first.subscribe([[variant.name('t/#'), 2]])
      if (how !== 'a takeover') await first.disconnect()
      await publish(variant)
      const back = await variant.reconnect(first, how, {
        acknowledges: true,
        properties: { sessionExpiryInterval: 100, maximumPacketSize: MAXIMUM }
      })
      t.same(
        namesOf(t, back, await back.messagesSoFar()).filter(name => !name.startsWith('0')),
        FITS.slice(2)
      )
      await back.settled()
      const again = await variant.reconnect(back, 'a lost connection', {
        properties: { sessionExpiryInterval: 100, maximumPacketSize: 10_000 }
      })
      t.same(await again.messagesSoFar(), [], 'skipped messages are not sent later')
    },
    only5
  )
}

onEachTransport(
  'retained',
  async (t, variant) => {
    await publish(variant, true)
    const client = await limitedClient(variant)
    await client.subscribe([[variant.name('t/#'), 2]])
    const got = [...(await client.messages(FITS.length)), ...(await client.messagesSoFar())]
    t.same(namesOf(t, client, got).sort(), FITS.toSorted())
  },
  only5
)

onEachTransport(
  'a will',
  async (t, variant) => {
    const client = await limitedClient(variant)
    await client.subscribe([[variant.name('will/+'), 1]])
    for (const [name, size] of [
      ['large', 200],
      ['fits', 1]
    ] as const) {
      await (
        await variant.connectClean(name, {
          will: { topic: variant.name(`will/${name}`), payload: 'x'.repeat(size), qos: 1 }
        })
      ).destroy()
    }
    await client.next('publish', ({ topic }) => topic === variant.name('will/fits'))
    t.same(namesOf(t, client, await client.messagesSoFar()), [])
  },
  only5
)

onEachTransport(
  'a SUBACK or UNSUBACK that would be too large ends the connection instead',
  async (t, variant) => {
    const filters = numbers(MAXIMUM + 1).map(name => variant.name(name))
    for (const act of ['subscribe', 'unsubscribe'] as const) {
      const client = await limitedClient(variant)
      client.send(
        act === 'subscribe'
          ? client.subscribePacket(filters.map(filter => [filter, 0]))
          : client.unsubscribePacket(...filters)
      )
      await client.whenClosed()
      namesOf(t, client, [])
    }
  },
  only5
)

onEachTransport(
  'a CONNACK fits, or the connection is closed',
  async (t, variant) => {
    // Without a client id, the CONNACK must have room for the assigned one [MQTT-3.2.2-16].
    for (const clientId of [variant.name('client'), '']) {
      for (const maximumPacketSize of [1, 4, 5, 6, 8, 10, 14, 20, 40, 100]) {
        const client = await variant.startConnect({
          clientId,
          clean: true,
          properties: { sessionExpiryInterval: 0, maximumPacketSize }
        })
        // Either a CONNACK or closed.
        await client.settled().catch(() => {})
        const sizes = client.received.map(({ bytes }) => bytes.length)
        t.ok(
          sizes.every(size => size <= maximumPacketSize),
          `${sizes.join()} of ${maximumPacketSize}`
        )
        if (client.isClosed)
          t.notOk(
            client.received.some(({ cmd }) => cmd === 'connack'),
            'closed instead'
          )
        else t.match(client.received[0], { cmd: 'connack', reasonCode: 0 })
      }
    }
  },
  only5
)

onEachTransport(
  'the reason string of a PUBACK or PUBREC is omitted if it does not fit [MQTT-3.4.2-2], [MQTT-3.5.2-2]',
  async (t, variant) => {
    for (const maximumPacketSize of [24, 1_000]) {
      const client = await limitedClient(variant, { maximumPacketSize })
      for (const qos of [1, 2] as const) {
        const packet = client.publishPacket('$SYS/x', 'x', { qos })
        client.send(packet)
        t.match(await client.next(qos === 1 ? 'puback' : 'pubrec'), { messageId: packet.messageId, reasonCode: 0x87 })
      }
      t.ok(
        client.received.every(({ bytes }) => bytes.length <= maximumPacketSize),
        client.received.map(({ bytes }) => bytes.length).join()
      )
    }
  },
  only5
)
