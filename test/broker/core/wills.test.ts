// When a will is published, when it is not, and what of it reaches its readers.

import { setTimeout as pause } from 'node:timers/promises'
import type { IConnectPacket, IPublishPacket } from 'mqtt-packet'
import type { SessionClient, SessionOptions } from './session-client.js'
import { onEveryWay, type Way } from './ways.js'

const only5 = { versions: [5] } as const
/** Reason codes that a client may give in a DISCONNECT, and that are no success (MQTT 5, 3.14.2.1). */
const UNHAPPY = [0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]
const PROPERTIES = {
  contentType: 'text/plain',
  responseTopic: 'answers',
  correlationData: Buffer.from([0, 255]),
  payloadFormatIndicator: true
}

/** Connects a client whose will is published to `TOPIC` when it dies. */
async function dying(
  way: Way,
  topic: string,
  will: Partial<IConnectPacket['will']> = {},
  options: Partial<SessionOptions> = {}
): Promise<SessionClient> {
  return await way.connect({
    clientId: `dying ${topic}`,
    clean: true,
    will: { topic, payload: 'gone', qos: 1, ...will },
    ...options
  })
}

/** A reader of all wills of this way. */
async function reader(way: Way, name = 'reader', clean = true): Promise<SessionClient> {
  const client = await way.connect({ clientId: way.name(name), clean, acknowledges: true, version: 5 })
  await client.watch()
  await client.subscribe([[way.name('will/#'), 1, { rh: 0 }]])
  return client
}

/** The names of the wills that have come by now. */
async function arrived(way: Way, client: SessionClient): Promise<string[]> {
  return (await client.caughtUp()).map(({ topic }) => topic.slice(way.name('will/').length)).sort()
}

onEveryWay(
  'it is published when the connection breaks, and not after a DISCONNECT [MQTT-3.1.2-8], [MQTT-3.14.4-3]',
  async (t, way) => {
    const [live, away] = [await reader(way), await reader(way, 'away', false)]
    await away.leave()
    const [rude, polite] = [
      await dying(way, way.name('will/rude'), { retain: true, qos: 2 }),
      await dying(way, way.name('will/polite'))
    ]
    await polite.leave()
    await rude.vanish()
    const message = await live.next('publish')
    t.match(message, { topic: way.name('will/rude'), qos: 1, retain: false })
    t.same(await arrived(way, await way.back(away, 'a lost connection')), ['rude'], 'queued')
    t.match(
      await (await reader(way)).next('publish'),
      { topic: way.name('will/rude'), qos: 1, retain: true },
      'retained'
    )
  }
)

onEveryWay(
  'DISCONNECT with any reason but 0x00 publishes it [MQTT-3.14.4-3]',
  async (t, way) => {
    const live = await reader(way)
    for (const reasonCode of UNHAPPY) await (await dying(way, way.name(`will/${reasonCode}`))).leave({ reasonCode })
    await (await dying(way, way.name('will/0'))).leave({ reasonCode: 0 })
    const got = await live.messages(UNHAPPY.length)
    t.same(
      got.map(({ topic }) => Number(topic.slice(way.name('will/').length))).sort((a, b) => a - b),
      UNHAPPY
    )
    t.same(await arrived(way, live), [])
  },
  only5
)

onEveryWay('a takeover publishes it', async (t, way) => {
  const live = await reader(way)
  for (const clean of [true, false]) {
    const first = await dying(way, way.name(`will/${clean}`), {}, { clean })
    const second = await way.connect({ ...first.options, will: undefined })
    await first.whenClosed()
    t.equal((await live.next('publish')).topic, way.name(`will/${clean}`))
    await second.leave()
  }
  t.same(await arrived(way, live), [])
})

onEveryWay('a silent client that breaks its keep-alive has its will published [MQTT-3.1.2-22]', async (t, way) => {
  const live = await reader(way)
  await dying(way, way.name('will/silent'), {}, { keepalive: 1 })
  t.equal((await live.next('publish')).topic, way.name('will/silent'))
})

onEveryWay(
  'its Will Delay Interval is not part of it: live, queued, retained, after a restart',
  async (t, way) => {
    const [live, away] = [await reader(way), await reader(way, 'away', false)]
    await away.leave()
    const none: string[] = []
    const look = (where: string, messages: readonly IPublishPacket[]): void => {
      for (const { topic, properties } of messages) {
        if (properties !== undefined && 'willDelayInterval' in properties) none.push(`${topic} ${where}`)
      }
    }
    for (const willDelayInterval of [0, 1]) {
      const lasting = { properties: { sessionExpiryInterval: 10 } }
      const client = await dying(
        way,
        way.name(`will/${willDelayInterval}`),
        { retain: true, properties: { willDelayInterval } },
        lasting
      )
      await client.vanish()
      look('live', [await live.next('publish')])
    }
    look('queued', await (await way.back(away, 'a lost connection')).messages(2))
    look('retained', await (await reader(way)).messages(2))
    await way.restart()
    look('retained, restarted', await (await reader(way)).messages(2))
    t.same(none, [])
  },
  only5
)

onEveryWay(
  'its properties reach its readers',
  async (t, way) => {
    const [live, away] = [await reader(way), await reader(way, 'away', false)]
    await away.leave()
    const properties = { ...PROPERTIES, messageExpiryInterval: 100 }
    await (await dying(way, way.name('will/properties'), { retain: true, properties })).vanish()
    const readers = [live, await way.back(away, 'a lost connection'), await reader(way, 'late')]
    for (const [index, client] of readers.entries()) {
      const { properties } = await client.next('publish')
      t.match(properties, PROPERTIES, ['live', 'queued', 'retained'][index])
      t.ok((properties?.messageExpiryInterval ?? NaN) > 90)
    }
  },
  only5
)

onEveryWay(
  'a delayed one is published when its time has come, or its session ends, and not before [MQTT-3.1.3-9]',
  async (t, way) => {
    const live = await reader(way)
    const delayed = async (
      name: string,
      willDelayInterval: number,
      sessionExpiryInterval: number
    ): Promise<SessionClient> =>
      await dying(
        way,
        way.name(`will/${name}`),
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
      await delayed('anew', 100, 100),
      await delayed('none', 100, 0)
    ] as const
    const [, , ended, resumed, , taken, anew] = clients
    await way.connect({ ...taken.options, will: undefined })
    await way.connect({ ...anew.options, clean: true, will: undefined })
    const gone = Date.now()
    await Promise.all([...clients].filter(client => client !== taken && client !== anew).map(client => client.vanish()))
    await way.connect({ ...resumed.options, will: undefined })
    t.same(await waitFor(live, way, 2), ['anew', 'none'], 'at once')
    await (await way.connect({ ...ended.options, will: undefined, clean: true })).leave()
    t.same(await waitFor(live, way, 3), ['delay', 'ended', 'expiry'])
    t.ok(Date.now() - gone >= 950, 'not before')
    await pause(gone + 4_500 - Date.now())
    t.same(await arrived(way, live), [], 'and no others')
  },
  only5
)

/** Takes so many wills; their names. */
async function waitFor(client: SessionClient, way: Way, count: number): Promise<string[]> {
  return (await client.messages(count)).map(({ topic }) => topic.slice(way.name('will/').length)).sort()
}

onEveryWay('a kill leaves it to the next start, also a delayed one, and once', async (t, way) => {
  const away = await reader(way, 'away', false)
  await dying(way, way.name('will/plain'), { retain: true })
  if (way.version === 5) {
    await dying(way, way.name('will/delayed'), { retain: true, properties: { willDelayInterval: 1 } }, { clean: false })
    await dying(way, way.name('will/long'), { retain: true, properties: { willDelayInterval: 100 } }, { clean: false })
  }
  const polite = await dying(way, way.name('will/polite'))
  await polite.leave()
  await way.restart()
  const back = await way.connect(away.options)
  const expected = way.version === 5 ? ['delayed', 'plain'] : ['plain']
  t.same(await waitFor(back, way, expected.length), expected)
  t.same(await arrived(way, back), [])
  await way.restart()
  t.same(await arrived(way, await way.connect(away.options)), [], 'after a second kill')
})

onEveryWay(
  'a delayed one that a kill leaves is dropped where its client is back in time',
  async (t, way) => {
    const client = await dying(
      way,
      way.name('will/delayed'),
      { properties: { willDelayInterval: 5 } },
      { clean: false }
    )
    await way.restart()
    await way.connect({ ...client.options, will: undefined })
    const connected = Date.now()
    const live = await reader(way)
    await pause(connected + 5_500 - Date.now())
    t.same(await arrived(way, live), [])
  },
  only5
)

onEveryWay(
  'a stop publishes it',
  async (t, way) => {
    const away = await reader(way, 'away', false)
    await away.leave()
    await dying(way, way.name('will/stopped'))
    await way.restart()
    t.same(await waitFor(await way.connect(away.options), way, 1), ['stopped'])
  },
  { signal: 'SIGTERM' }
)
