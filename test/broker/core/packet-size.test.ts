// No packet to a client is larger than the Maximum Packet Size that its CONNECT says [MQTT-3.1.2-24], [MQTT-3.1.2-25].

import type { Test } from 'tap'
import type { IConnectPacket } from 'mqtt-packet'
import { numbers, type SessionClient } from './session-client.js'
import { onEveryWay, RETURNS, type Way } from './ways.js'

const only5 = { versions: [5] } as const
const MAXIMUM = 100

async function small(way: Way, properties: IConnectPacket['properties'] = {}): Promise<SessionClient> {
  const client = await way.connect({
    clientId: way.name('small'),
    acknowledges: true,
    properties: { sessionExpiryInterval: 100, maximumPacketSize: MAXIMUM, ...properties }
  })
  await client.watch()
  return client
}

/** Publishes what fits, what does not, and what fits again. */
async function publish(way: Way, retain = false): Promise<void> {
  const publisher = await way.visitor('publisher')
  for (const qos of [0, 1, 2] as const) {
    for (const [name, size] of [
      ['before', 1],
      ['large', 200],
      ['after', 1]
    ] as const) {
      await publisher.publish(way.name(`t/${qos}/${name}`), 'x'.repeat(size), { qos, retain })
    }
  }
  // Small by itself, and large with what comes with it.
  await publisher.publish(way.name('t/1/properties'), 'x', {
    qos: 1,
    retain,
    properties: { contentType: 'x'.repeat(200) }
  })
  await publisher.leave()
}

/** What came of that; nothing that came is too large. */
function names(test: Test, client: SessionClient, messages: readonly { topic: string }[]): string[] {
  const largest = Math.max(...client.received.map(({ bytes }) => bytes.length))
  test.ok(largest <= MAXIMUM, `${largest} of ${MAXIMUM} bytes`)
  return messages.map(({ topic }) => topic.split('/').slice(-2).join('/'))
}

const FITS = ['0/before', '0/after', '1/before', '1/after', '2/before', '2/after']

onEveryWay(
  'live: what is too large is left out, and the rest comes',
  async (t, way) => {
    const client = await small(way)
    await client.subscribe([[way.name('t/#'), 2]])
    await publish(way)
    t.same(names(t, client, await client.caughtUp()), FITS)
  },
  only5
)

for (const how of RETURNS) {
  onEveryWay(
    `from the queue, after ${how}`,
    async (t, way) => {
      // The size is each connection's own.
      const first = await small(way, { maximumPacketSize: 10_000 })
      first.acknowledges = false
      await first.subscribe([[way.name('t/#'), 2]])
      if (how !== 'a takeover') await first.leave()
      await publish(way)
      const back = await way.back(first, how, {
        acknowledges: true,
        properties: { sessionExpiryInterval: 100, maximumPacketSize: MAXIMUM }
      })
      t.same(
        names(t, back, await back.caughtUp()).filter(name => !name.startsWith('0')),
        FITS.slice(2)
      )
      await back.settled()
      const again = await way.back(back, 'a lost connection', {
        properties: { sessionExpiryInterval: 100, maximumPacketSize: 10_000 }
      })
      t.same(await again.caughtUp(), [], 'what was left out is done with')
    },
    only5
  )
}

onEveryWay(
  'retained',
  async (t, way) => {
    await publish(way, true)
    const client = await small(way)
    await client.subscribe([[way.name('t/#'), 2]])
    const got = [...(await client.messages(FITS.length)), ...(await client.caughtUp())]
    t.same(names(t, client, got).sort(), FITS.toSorted())
  },
  only5
)

onEveryWay(
  'a will',
  async (t, way) => {
    const client = await small(way)
    await client.subscribe([[way.name('will/+'), 1]])
    for (const [name, size] of [
      ['large', 200],
      ['fits', 1]
    ] as const) {
      await (
        await way.visitor(name, { will: { topic: way.name(`will/${name}`), payload: 'x'.repeat(size), qos: 1 } })
      ).vanish()
    }
    await client.next('publish', ({ topic }) => topic === way.name('will/fits'))
    t.same(names(t, client, await client.caughtUp()), [])
  },
  only5
)

onEveryWay(
  'a SUBACK or UNSUBACK that would be too large ends the connection instead',
  async (t, way) => {
    const filters = numbers(MAXIMUM + 1).map(name => way.name(name))
    for (const act of ['subscribe', 'unsubscribe'] as const) {
      const client = await small(way)
      client.send(
        act === 'subscribe'
          ? client.subscribePacket(filters.map(filter => [filter, 0]))
          : client.unsubscribePacket(...filters)
      )
      await client.whenClosed()
      names(t, client, [])
    }
  },
  only5
)

onEveryWay(
  'a CONNACK keeps to it, or is none',
  async (t, way) => {
    // Who has no name is told one, and cannot be where there is no room for it [MQTT-3.2.2-16].
    for (const clientId of [way.name('client'), '']) {
      for (const maximumPacketSize of [1, 4, 5, 6, 8, 10, 14, 20, 40, 100]) {
        const client = await way.begin({
          clientId,
          clean: true,
          properties: { sessionExpiryInterval: 0, maximumPacketSize }
        })
        // Answered, or closed.
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

onEveryWay(
  'the answer to a message that is refused keeps to it [MQTT-3.4.2-2], [MQTT-3.5.2-2]',
  async (t, way) => {
    for (const maximumPacketSize of [24, 1_000]) {
      const client = await small(way, { maximumPacketSize })
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
