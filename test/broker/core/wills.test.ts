// When a will is published, and with which properties.

import { setTimeout as pause } from 'node:timers/promises'
import type { IConnectPacket, IPublishPacket } from 'mqtt-packet'
import type { SessionClient, SessionOptions } from './session-client.js'
import { onEachTransport, type Variant } from './variants.js'

const only5 = { versions: [5] } as const
/** Reason codes of a client's DISCONNECT other than success (MQTT 5, 3.14.2.1). */
const ERROR_CODES = [0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]
const PROPERTIES = {
  contentType: 'text/plain',
  responseTopic: 'answers',
  correlationData: Buffer.from([0, 255]),
  payloadFormatIndicator: true
}

/** Connects a client with a will for `topic`. */
async function connectWithWill(
  variant: Variant,
  topic: string,
  will: Partial<IConnectPacket['will']> = {},
  options: Partial<SessionOptions> = {}
): Promise<SessionClient> {
  return await variant.connect({
    clientId: `dying ${topic}`,
    clean: true,
    will: { topic, payload: 'gone', qos: 1, ...will },
    ...options
  })
}

/** Connects a subscriber to all wills of this variant. */
async function reader(variant: Variant, name = 'reader', clean = true): Promise<SessionClient> {
  const client = await variant.connect({ clientId: variant.name(name), clean, acknowledges: true, version: 5 })
  await client.subscribeMarker()
  await client.subscribe([[variant.name('will/#'), 1, { rh: 0 }]])
  return client
}

/** Returns the names of all wills received by now. */
async function arrived(variant: Variant, client: SessionClient): Promise<string[]> {
  return (await client.messagesSoFar()).map(({ topic }) => topic.slice(variant.name('will/').length)).sort()
}

onEachTransport(
  'a will is published after a lost connection, and not after a DISCONNECT [MQTT-3.1.2-8], [MQTT-3.14.4-3]',
  async (t, variant) => {
    const [live, offline] = [await reader(variant), await reader(variant, 'offline', false)]
    await offline.disconnect()
    const [lost, normal] = [
      await connectWithWill(variant, variant.name('will/lost'), { retain: true, qos: 2 }),
      await connectWithWill(variant, variant.name('will/normal'))
    ]
    await normal.disconnect()
    await lost.destroy()
    const message = await live.next('publish')
    t.match(message, { topic: variant.name('will/lost'), qos: 1, retain: false })
    t.same(await arrived(variant, await variant.reconnect(offline, 'a lost connection')), ['lost'], 'queued')
    t.match(
      await (await reader(variant)).next('publish'),
      { topic: variant.name('will/lost'), qos: 1, retain: true },
      'retained'
    )
  }
)

onEachTransport(
  'a DISCONNECT with a reason code other than 0x00 publishes the will [MQTT-3.14.4-3]',
  async (t, variant) => {
    const live = await reader(variant)
    for (const reasonCode of ERROR_CODES)
      await (await connectWithWill(variant, variant.name(`will/${reasonCode}`))).disconnect({ reasonCode })
    await (await connectWithWill(variant, variant.name('will/0'))).disconnect({ reasonCode: 0 })
    const got = await live.messages(ERROR_CODES.length)
    t.same(
      got.map(({ topic }) => Number(topic.slice(variant.name('will/').length))).sort((a, b) => a - b),
      ERROR_CODES
    )
    t.same(await arrived(variant, live), [])
  },
  only5
)

onEachTransport('a takeover publishes the will', async (t, variant) => {
  const live = await reader(variant)
  for (const clean of [true, false]) {
    const first = await connectWithWill(variant, variant.name(`will/${clean}`), {}, { clean })
    const second = await variant.connect({ ...first.options, will: undefined })
    await first.whenClosed()
    t.equal((await live.next('publish')).topic, variant.name(`will/${clean}`))
    await second.disconnect()
  }
  t.same(await arrived(variant, live), [])
})

onEachTransport('a keep-alive timeout publishes the will [MQTT-3.1.2-22]', async (t, variant) => {
  const live = await reader(variant)
  await connectWithWill(variant, variant.name('will/silent'), {}, { keepalive: 1 })
  t.equal((await live.next('publish')).topic, variant.name('will/silent'))
})

onEachTransport(
  'a published will has no Will Delay Interval: live, queued, retained, after a restart',
  async (t, variant) => {
    const [live, offline] = [await reader(variant), await reader(variant, 'offline', false)]
    await offline.disconnect()
    const found: string[] = []
    const check = (where: string, messages: readonly IPublishPacket[]): void => {
      for (const { topic, properties } of messages) {
        if (properties !== undefined && 'willDelayInterval' in properties) found.push(`${topic} ${where}`)
      }
    }
    for (const willDelayInterval of [0, 1]) {
      const persistent = { properties: { sessionExpiryInterval: 10 } }
      const client = await connectWithWill(
        variant,
        variant.name(`will/${willDelayInterval}`),
        { retain: true, properties: { willDelayInterval } },
        persistent
      )
      await client.destroy()
      check('live', [await live.next('publish')])
    }
    check('queued', await (await variant.reconnect(offline, 'a lost connection')).messages(2))
    check('retained', await (await reader(variant)).messages(2))
    await variant.restart()
    check('retained, restarted', await (await reader(variant)).messages(2))
    t.same(found, [])
  },
  only5
)

onEachTransport(
  'subscribers receive its properties',
  async (t, variant) => {
    const [live, offline] = [await reader(variant), await reader(variant, 'offline', false)]
    await offline.disconnect()
    const properties = { ...PROPERTIES, messageExpiryInterval: 100 }
    await (await connectWithWill(variant, variant.name('will/properties'), { retain: true, properties })).destroy()
    const readers = [live, await variant.reconnect(offline, 'a lost connection'), await reader(variant, 'late')]
    for (const [index, client] of readers.entries()) {
      const { properties } = await client.next('publish')
      t.match(properties, PROPERTIES, ['live', 'queued', 'retained'][index])
      t.ok((properties?.messageExpiryInterval ?? NaN) > 90)
    }
  },
  only5
)

onEachTransport(
  'a delayed will is published after its delay or when its session ends, not before [MQTT-3.1.3-9]',
  async (t, variant) => {
    const live = await reader(variant)
    const delayed = async (
      name: string,
      willDelayInterval: number,
      sessionExpiryInterval: number
    ): Promise<SessionClient> =>
      await connectWithWill(
        variant,
        variant.name(`will/${name}`),
        { properties: { willDelayInterval } },
        { clean: false, properties: { sessionExpiryInterval } }
      )
    const clients = [
      await delayed('delay', 1, 100),
      await delayed('expiry', 100, 1),
      await delayed('ended', 100, 100),
      await delayed('resumed', 4, 100),
      await delayed('long', 100, 100),
      await delayed('taken', 4, 100),
      await delayed('clean', 100, 100),
      await delayed('none', 100, 0)
    ] as const
    const [, , ended, resumed, , taken, clean] = clients
    await variant.connect({ ...taken.options, will: undefined })
    await variant.connect({ ...clean.options, clean: true, will: undefined })
    const disconnectedAt = Date.now()
    await Promise.all(
      [...clients].filter(client => client !== taken && client !== clean).map(client => client.destroy())
    )
    await variant.connect({ ...resumed.options, will: undefined })
    t.same(await waitFor(live, variant, 2), ['clean', 'none'], 'at once')
    await (await variant.connect({ ...ended.options, will: undefined, clean: true })).disconnect()
    t.same(await waitFor(live, variant, 3), ['delay', 'ended', 'expiry'])
    t.ok(Date.now() - disconnectedAt >= 950, 'not before')
    await pause(disconnectedAt + 4_500 - Date.now())
    t.same(await arrived(variant, live), [], 'no others')
  },
  only5
)

/** Receives `count` wills; returns their names. */
async function waitFor(client: SessionClient, variant: Variant, count: number): Promise<string[]> {
  return (await client.messages(count)).map(({ topic }) => topic.slice(variant.name('will/').length)).sort()
}

onEachTransport('after a kill, the next start publishes wills once, also delayed ones', async (t, variant) => {
  const offline = await reader(variant, 'offline', false)
  await connectWithWill(variant, variant.name('will/plain'), { retain: true })
  if (variant.version === 5) {
    await connectWithWill(
      variant,
      variant.name('will/delayed'),
      { retain: true, properties: { willDelayInterval: 1 } },
      { clean: false }
    )
    await connectWithWill(
      variant,
      variant.name('will/long'),
      { retain: true, properties: { willDelayInterval: 100 } },
      { clean: false }
    )
  }
  const normal = await connectWithWill(variant, variant.name('will/normal'))
  await normal.disconnect()
  await variant.restart()
  const back = await variant.connect(offline.options)
  const expected = variant.version === 5 ? ['delayed', 'plain'] : ['plain']
  t.same(await waitFor(back, variant, expected.length), expected)
  t.same(await arrived(variant, back), [])
  await variant.restart()
  t.same(await arrived(variant, await variant.connect(offline.options)), [], 'after a second kill')
})

onEachTransport(
  'after a kill, a delayed will is dropped if its client reconnects in time',
  async (t, variant) => {
    const client = await connectWithWill(
      variant,
      variant.name('will/delayed'),
      { properties: { willDelayInterval: 5 } },
      { clean: false }
    )
    await variant.restart()
    await variant.connect({ ...client.options, will: undefined })
    const connected = Date.now()
    const live = await reader(variant)
    await pause(connected + 5_500 - Date.now())
    t.same(await arrived(variant, live), [])
  },
  only5
)

onEachTransport(
  'a shutdown publishes the will',
  async (t, variant) => {
    const offline = await reader(variant, 'offline', false)
    await offline.disconnect()
    await connectWithWill(variant, variant.name('will/stopped'))
    await variant.restart()
    t.same(await waitFor(await variant.connect(offline.options), variant, 1), ['stopped'])
  },
  { signal: 'SIGTERM' }
)
