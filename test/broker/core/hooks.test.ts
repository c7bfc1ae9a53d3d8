// Hooks and events of Aedes as plug-ins know them, on the core: each is asked, may change what it may change, and may
// take its time.

import { setImmediate, setTimeout as pause } from 'node:timers/promises'
import type { Aedes, Client } from 'aedes'
import type { IPublishPacket } from 'mqtt-packet'
import t, { type Test } from 'tap'
import type { Broker } from '../../../broker/core/broker.js'
import { PublishDenied } from '../../../broker/core/publish-denied.js'
import { PairEnd } from '../../support/duplex-pair.js'
import { waitUntil } from '../../support/wait-until.js'
import { openBroker as open } from '../opened-broker.js'
import { SessionClient, type SessionOptions, type Version } from './session-client.js'

type Hooked = Parameters<Aedes['authorizePublish']>[1]
type Forwarded = Parameters<Aedes['authorizeForward']>[1]
type Asked = Parameters<Aedes['authorizeSubscribe']>[1]
type Done = (error?: Error | null) => void

const VERSIONS: readonly Version[] = [4, 5]

async function openBroker(test: Test): Promise<Broker> {
  return (await open(test)).aedes
}

async function connect(aedes: Broker, clientId: string, options: Partial<SessionOptions> = {}): Promise<SessionClient> {
  const { client, broker } = PairEnd.pair()
  // As a socket is by itself.
  client.once('end', () => {
    client.destroy()
  })
  aedes.handle(broker, undefined)
  return await SessionClient.connect(client, { clientId, clean: true, acknowledges: true, ...options })
}

/** One that gets everything but what it tells itself to know that it has caught up. */
async function reader(aedes: Broker, clientId = 'reader', version: Version = 5): Promise<SessionClient> {
  const client = await connect(aedes, clientId, { version })
  await client.watch()
  await client.subscribe([['t/#', 2]])
  return client
}

function texts(messages: readonly IPublishPacket[]): string[] {
  return messages.map(({ topic, payload, qos }) => `${topic} ${payload.toString()} ${qos}`)
}

/** Lets a hook see a message's properties as a plug-in does: as an object like any other. */
function propertiesOf(packet: object): Record<string, unknown> {
  return (packet as { properties: Record<string, unknown> }).properties
}

t.test('authorizePublish, set after the start, is asked for every message of a client', async t => {
  for (const version of VERSIONS) {
    const aedes = await openBroker(t)
    const [publisher, listener] = [await connect(aedes, 'publisher', { version }), await reader(aedes)]
    await publisher.publish('t/before', '0')
    const asked: unknown[] = []
    aedes.authorizePublish = (client, packet, done) => {
      if (client?.id === 'publisher')
        asked.push([packet.cmd, packet.topic, packet.payload.toString(), packet.qos, packet.retain])
      done(null)
    }
    for (const qos of [0, 1, 2] as const) await publisher.publish(`t/${qos}`, String(qos), { qos, retain: qos === 1 })
    await publisher.settled()
    t.same(asked, [
      ['publish', 't/0', '0', 0, false],
      ['publish', 't/1', '1', 1, true],
      ['publish', 't/2', '2', 2, false]
    ])
    t.same(texts(await listener.caughtUp()), ['t/before 0 1', 't/0 0 0', 't/1 1 1', 't/2 2 2'])
    // Sent again since no PUBREC came, a message of QoS 2 is the same message.
    const packet = publisher.publishPacket('t/twice', '3', { qos: 2 })
    publisher.send(packet, { ...packet, dup: true })
    await publisher.finish(packet)
    t.equal(asked.length, 4)
    t.same(texts(await listener.caughtUp()), ['t/twice 3 2'])
  }
})

t.test('authorizePublish may change topic and payload; what is retained is what it made of them', async t => {
  const aedes = await openBroker(t)
  const listener = await reader(aedes)
  aedes.authorizePublish = (client, packet, done) => {
    if (client?.id.startsWith('publisher') === true) {
      packet.topic = packet.topic.replace('raw', 't/own')
      packet.payload = packet.topic.endsWith('text') ? 'a text: ö' : Buffer.from(`${packet.payload.toString()}!`)
    }
    done(null)
  }
  for (const version of VERSIONS) {
    const publisher = await connect(aedes, `publisher${version}`, { version })
    for (const qos of [0, 1, 2] as const) await publisher.publish(`raw/${qos}`, String(qos), { qos, retain: true })
    await publisher.publish('raw/text', 'bytes')
    await publisher.settled()
    t.same(texts(await listener.caughtUp()), ['t/own/0 0! 0', 't/own/1 1! 1', 't/own/2 2! 2', 't/own/text a text: ö 1'])
  }
  const late = await connect(aedes, 'late')
  await late.subscribe([
    ['raw/#', 1],
    ['t/#', 1]
  ])
  t.same((await late.messages(3)).map(({ topic, payload }) => `${topic} ${payload.toString()}`).sort(), [
    't/own/0 0!',
    't/own/1 1!',
    't/own/2 2!'
  ])
})

t.test('authorizePublish may change properties: set, replaced, left out, and in place', async t => {
  const aedes = await openBroker(t)
  const [publisher, listener] = [await connect(aedes, 'publisher', { version: 5 }), await reader(aedes)]
  const sent = {
    contentType: 'before',
    correlationData: Buffer.from('c'),
    userProperties: { kept: 'k', list: ['1', '2'] }
  }
  const changes: Record<string, ((packet: Hooked) => void) | undefined> = {
    nothing: () => {},
    set: packet => {
      propertiesOf(packet).responseTopic = 'answers'
    },
    replaced: packet => {
      Object.assign(packet, { properties: { contentType: 'after' } })
    },
    'left out': packet => {
      delete (packet as { properties?: object }).properties
    },
    'one left out': packet => {
      delete propertiesOf(packet).correlationData
    },
    'a user property': packet => {
      ;(propertiesOf(packet).userProperties as Record<string, string>).added = 'a'
    },
    'in a list': packet => {
      ;(propertiesOf(packet).userProperties as Record<string, string[]>).list.push('3')
    },
    'an expiry': packet => {
      propertiesOf(packet).messageExpiryInterval = 50
    }
  }
  aedes.authorizePublish = (_client, packet, done) => {
    changes[packet.payload.toString()]?.(packet)
    done(null)
  }
  for (const name of Object.keys(changes)) await publisher.publish('t/x', name, { properties: sent })
  await publisher.publish('t/x', 'an expiry', { properties: { messageExpiryInterval: 5_000 } })
  const { userProperties, ...others } = sent
  const got = (await listener.caughtUp()).map(
    ({ properties }) => JSON.parse(JSON.stringify(properties ?? {})) as unknown
  )
  t.same(
    got,
    [
      sent,
      { ...sent, responseTopic: 'answers' },
      { contentType: 'after' },
      {},
      { contentType: 'before', userProperties },
      { ...others, userProperties: { ...userProperties, added: 'a' } },
      { ...others, userProperties: { kept: 'k', list: ['1', '2', '3'] } },
      { ...sent, messageExpiryInterval: 50 },
      { messageExpiryInterval: 50 }
    ].map(properties => JSON.parse(JSON.stringify(properties)) as unknown)
  )
})

t.test('a publisher gets the acknowledgement that is due to it, whatever QoS a hook makes of its message', async t => {
  const aedes = await openBroker(t)
  const listener = await reader(aedes)
  aedes.authorizePublish = (_client, packet, done) => {
    const qos = /^as (\d)$/.exec(packet.payload.toString())?.[1]
    if (qos !== undefined) packet.qos = Number(qos) as 0 | 1 | 2
    done(null)
  }
  for (const version of VERSIONS) {
    const publisher = await connect(aedes, `publisher${version}`, { version })
    for (const qos of [0, 1, 2] as const)
      for (const other of [0, 1, 2]) await publisher.publish('t/x', `as ${other}`, { qos })
    await publisher.settled()
    t.same(
      publisher.received.filter(({ cmd }) => /^pub/.test(cmd)).map(({ cmd }) => cmd),
      [...Array<string>(3).fill('puback'), 'pubrec', 'pubcomp', 'pubrec', 'pubcomp', 'pubrec', 'pubcomp']
    )
    t.same(
      (await listener.caughtUp()).map(({ qos }) => qos),
      [0, 1, 2, 0, 1, 2, 0, 1, 2]
    )
  }
})

t.test(
  'an authorizePublish that takes its time keeps the order, of messages and of acknowledgements [MQTT-4.6.0-1] to [MQTT-4.6.0-4]',
  async t => {
    for (const version of VERSIONS) {
      const aedes = await openBroker(t)
      const [publisher, listener] = [await connect(aedes, 'publisher', { version }), await reader(aedes)]
      let underWay = 0
      let most = 0
      aedes.authorizePublish = (client, packet, done) => {
        if (client?.id !== 'publisher') {
          done(null)
          return
        }
        most = Math.max(most, ++underWay)
        const number = Number(packet.payload.toString())
        const decide = (): void => {
          underWay--
          done(number % 5 === 4 ? new PublishDenied('every fifth') : null)
        }
        if (number % 3 === 0) decide()
        else if (number % 3 === 1) void setImmediate().then(decide)
        else void pause(1 + (number % 4)).then(decide)
      }
      const packets = Array.from({ length: 60 }, (_, i) =>
        publisher.publishPacket('t/x', String(i), { qos: (i % 4 === 3 ? 0 : (i % 2) + 1) as 0 | 1 | 2 })
      )
      publisher.send(...packets)
      await publisher.settled()
      const acknowledged = publisher.received.filter(({ cmd }) => cmd === 'puback' || cmd === 'pubrec')
      t.same(
        acknowledged.map(({ cmd, messageId }) => `${cmd} ${messageId}`),
        packets
          .filter(({ qos }) => qos > 0)
          .map(({ qos, messageId }) => `${qos === 1 ? 'puback' : 'pubrec'} ${messageId}`)
      )
      t.same(
        (await listener.caughtUp()).map(({ payload }) => payload.toString()),
        packets.map(({ payload }) => payload.toString()).filter(text => Number(text) % 5 !== 4)
      )
      t.equal(most, 1, 'one at a time')
    }
  }
)

t.test('what authorizePublish refuses goes to nobody; who publishes it learns so as its version allows', async t => {
  const aedes = await openBroker(t)
  const listener = await reader(aedes)
  const errors: string[] = []
  aedes.on('clientError', (client, error) => {
    errors.push(`${client.id} ${error.message}`)
  })
  aedes.authorizePublish = (_client, packet, done) => {
    if (packet.topic.startsWith('t/denied')) done(new PublishDenied('denied'))
    else done(packet.topic.startsWith('t/wrong') ? new Error('wrong') : null)
  }
  for (const version of VERSIONS) {
    const client = await connect(aedes, `c${version}`, { version })
    for (const qos of [0, 1, 2] as const) client.send(client.publishPacket('t/denied', 'x', { qos, retain: true }))
    const reasons = [await client.next('puback'), await client.next('pubrec')].map(({ reasonCode, properties }) => [
      reasonCode,
      properties?.reasonString
    ])
    t.same(
      reasons,
      version === 5
        ? [
            [0x87, 'denied'],
            [0x87, 'denied']
          ]
        : [
            [undefined, undefined],
            [undefined, undefined]
          ]
    )
    client.send(client.publishPacket('t/wrong', 'x'))
    if (version === 5) {
      t.match(await client.next('puback'), { reasonCode: 0x87, properties: { reasonString: 'wrong' } })
      await client.publish('t/allowed', '5')
      const quiet = await connect(aedes, 'quiet', { version, properties: { requestProblemInformation: false } })
      quiet.send(quiet.publishPacket('t/denied'))
      t.equal((await quiet.next('puback')).properties?.reasonString, undefined, '[MQTT-3.1.2-29]')
    } else await client.whenClosed()
  }
  t.same(texts(await listener.caughtUp()), ['t/allowed 5 1'])
  t.same(errors, ['c4 wrong', 'c5 denied', 'c5 denied', 'c5 denied', 'c5 wrong', 'quiet denied'])
})

t.test(
  'a message that a hook has made impossible to send is stopped; its publisher, which did nothing wrong, stays',
  async t => {
    const aedes = await openBroker(t)
    const listener = await reader(aedes)
    const errors: string[] = []
    aedes.on('clientError', (_client, error) => {
      errors.push(error.message)
    })
    const changes: ((packet: Hooked) => void)[] = [
      packet => {
        Object.assign(packet, { topic: undefined })
      },
      packet => {
        packet.topic = ''
      },
      packet => {
        packet.topic = 't/#'
      },
      packet => {
        packet.topic = 't/+/x'
      },
      packet => {
        packet.topic = 't/\0'
      },
      packet => {
        packet.topic = `t/${'x'.repeat(65_534)}`
      },
      packet => {
        packet.topic = 't/'.repeat(101)
      },
      packet => {
        Object.assign(packet, { payload: 5 })
      }
    ]
    for (const version of VERSIONS) {
      for (const [index, change] of changes.entries()) {
        const publisher = await connect(aedes, `publisher${index}`, { version })
        aedes.authorizePublish = (client, packet, done) => {
          if (client?.id === publisher.options.clientId) change(packet)
          done(null)
        }
        publisher.send(publisher.publishPacket('t/x', 'x', { retain: true }))
        t.match(await publisher.next('puback'), version === 5 ? { reasonCode: 0x87 } : {})
        t.equal(errors.splice(0).length, 1, `change ${index}`)
      }
    }
    t.same(await listener.caughtUp(), [])
    t.equal(aedes.retained.size, 0)
  }
)

t.test(
  'authorizeForward may change a message for one client, in place or in a copy, and keep it from another',
  async t => {
    const aedes = await openBroker(t)
    const names = ['first', 'payload', 'topic', 'copy', 'properties', 'flags', 'none', 'last']
    const clients = new Map<string, SessionClient>()
    for (const name of names) clients.set(name, await reader(aedes, name))
    const seen: unknown[] = []
    aedes.authorizeForward = (client: Client, packet: Forwarded) => {
      if (packet.topic.startsWith('mark/')) return packet
      if (client.id === 'last')
        seen.push([
          packet.topic,
          packet.payload.toString(),
          packet.qos,
          packet.retain,
          propertiesOf(packet).contentType
        ])
      switch (client.id) {
        case 'payload':
          packet.payload = Buffer.from('changed')
          break
        case 'topic':
          packet.topic = 't/changed'
          break
        case 'copy':
          return { ...packet, payload: 'a copy' }
        case 'properties':
          return { ...packet, properties: { contentType: 'changed', messageExpiryInterval: 9 } }
        case 'flags':
          Object.assign(packet, { qos: 0, retain: true, properties: { contentType: 'changed' } })
          break
        case 'none':
          return null
      }
      return packet
    }
    const publisher = await connect(aedes, 'publisher', { version: 5 })
    for (const qos of [0, 1, 2] as const)
      await publisher.publish('t/x', 'text', { qos, properties: { contentType: 'before' } })
    await publisher.settled()
    const got = new Map<string, IPublishPacket[]>()
    for (const [name, client] of clients) got.set(name, await client.caughtUp())
    const texted = (name: string): string[] => texts(got.get(name) ?? [])
    const all = (what: string): string[] => [0, 1, 2].map(qos => `${what} ${qos}`)
    for (const name of ['first', 'last']) t.same(texted(name), all('t/x text'), name)
    t.same(texted('payload'), all('t/x changed'))
    t.same(texted('topic'), all('t/changed text'))
    t.same(texted('copy'), all('t/x a copy'))
    t.same(texted('none'), [])
    t.same(
      got.get('properties')?.map(({ properties }) => properties?.contentType),
      Array(3).fill('changed')
    )
    t.same(
      got.get('last')?.map(({ properties }) => properties?.contentType),
      Array(3).fill('before')
    )
    t.same(
      seen,
      [0, 1, 2].map(qos => ['t/x', 'text', qos, false, 'before']),
      'nobody sees what was changed for another'
    )
  }
)

t.test('authorizeForward is asked for retained messages, for what waited, and for what a plug-in sends', async t => {
  const aedes = await openBroker(t)
  const publisher = await connect(aedes, 'publisher')
  const away = await connect(aedes, 'away', { clean: false })
  await away.watch()
  await away.subscribe([['t/#', 1]])
  await away.vanish()
  await publisher.publish('t/kept', 'kept', { retain: true })
  await publisher.publish('t/secret', 'secret', { retain: true })
  aedes.authorizeForward = (_client, packet) => {
    if (packet.topic === 't/secret') return null
    if (packet.topic.startsWith('t/')) packet.payload = Buffer.from(`${packet.payload.toString()}?`)
    return packet
  }
  const back = await connect(aedes, 'away', { clean: false })
  t.same(texts(await back.caughtUp()), ['t/kept kept? 1'])
  const late = await reader(aedes)
  t.same(texts(await late.caughtUp()), ['t/kept kept? 1'])
  const client = aedes.clientOf('reader') as Client
  for (const qos of [0, 1, 2] as const) {
    for (const topic of ['t/plug-in', 't/secret']) {
      await new Promise<void>((resolve, reject) => {
        client.publish({ cmd: 'publish', topic, payload: 'x', qos, retain: false, dup: false }, error => {
          if (error) reject(error)
          else resolve()
        })
      })
    }
  }
  t.same(
    texts(await late.caughtUp()),
    [0, 1, 2].map(qos => `t/plug-in x? ${qos}`)
  )
  t.same(await back.caughtUp(), [], 'which is for that one alone')
})

for (const how of ['at once', 'later'] as const) {
  t.test(`authorizeSubscribe may lower the QoS or refuse, ${how}`, async t => {
    const aedes = await openBroker(t)
    const asked: string[] = []
    aedes.authorizeSubscribe = (_client, subscription, done) => {
      asked.push(`${subscription.topic} ${subscription.qos}`)
      const answer: Asked | null = subscription.topic.startsWith('secret')
        ? null
        : { ...subscription, qos: Math.min(subscription.qos, 1) as 0 | 1 }
      if (how === 'at once') done(null, answer)
      else
        void pause((asked.length % 3) * 2).then(() => {
          done(null, answer)
        })
    }
    for (const version of VERSIONS) {
      const client = await connect(aedes, `c${version}`, { version })
      // What it sends right behind is behind.
      client.send(
        client.subscribePacket([
          ['t/#', 2],
          ['secret/a', 0],
          ['t/+', 0],
          ['secret/b', 2]
        ]),
        client.publishPacket('t/own', '1', { qos: 2 }),
        client.publishPacket('secret/a', '2', { qos: 0 })
      )
      const suback = await client.next('suback')
      t.same(suback.granted, version === 5 ? [1, 0x87, 0, 0x87] : [1, 0x80, 0, 0x80])
      t.same(texts([await client.next('publish')]), ['t/own 1 1'])
      t.ok(
        client.received.findIndex(({ cmd }) => cmd === 'suback') <
          client.received.findIndex(({ cmd }) => cmd === 'publish'),
        'the SUBACK comes first'
      )
      await client.settled()
      t.same(client.drain('publish'), [])
      t.same(asked.splice(0), ['t/# 2', 'secret/a 0', 't/+ 0', 'secret/b 2'])
      t.same([...(aedes.sessions.get(`c${version}`)?.subscriptions.keys() ?? [])], ['t/#', 't/+'])
    }
  })

  t.test(
    `authorizeSubscribe is asked for what is shared without its share, and again when a session is resumed, ${how}`,
    async t => {
      const aedes = await openBroker(t)
      const asked: string[] = []
      let isRefused = false
      aedes.authorizeSubscribe = (_client, subscription, done) => {
        asked.push(subscription.topic)
        const answer = isRefused && subscription.topic === 't/b' ? null : subscription
        if (how === 'at once') done(null, answer)
        else
          void setImmediate().then(() => {
            done(null, answer)
          })
      }
      const client = await connect(aedes, 'c', { clean: false })
      await client.watch()
      await client.subscribe([
        ['$share/g/t/a', 1],
        ['t/b', 1]
      ])
      t.same(asked.splice(0), ['mark/c', 't/a', 't/b'])
      await client.vanish()
      isRefused = true
      const back = await connect(aedes, 'c', { clean: false })
      await waitUntil('all are asked for', () => asked.length === 3)
      t.same(asked.sort(), ['mark/c', 't/a', 't/b'])
      await setImmediate()
      const publisher = await connect(aedes, 'publisher')
      await publisher.publish('t/a', '1')
      await publisher.publish('t/b', '2')
      t.same(texts(await back.caughtUp()), ['t/a 1 1'])
    }
  )
}

t.test(
  'published with a done that comes late holds back its publisher and nobody else, and keeps acknowledgements in order',
  async t => {
    for (const version of VERSIONS) {
      const aedes = await openBroker(t)
      const [publisher, other, listener] = [
        await connect(aedes, 'publisher', { version }),
        await connect(aedes, 'other', { version }),
        await reader(aedes)
      ]
      const held: Done[] = []
      const seen: string[] = []
      aedes.published = (packet, client: Client | null, done) => {
        if (client?.id === 'publisher') {
          seen.push(`${packet.topic} ${packet.payload.toString()}`)
          held.push(done)
        } else done()
      }
      const packets = [1, 2, 0, 1, 2].map((qos, i) =>
        publisher.publishPacket('t/x', String(i), { qos: qos as 0 | 1 | 2 })
      )
      publisher.send(...packets)
      for (let i = 0; i < packets.length; i++) {
        await waitUntil('the next', () => held.length === i + 1)
        await other.publish('t/other', String(i), { qos: 2 })
        t.same(
          seen,
          packets.slice(0, i + 1).map(({ payload }) => `t/x ${payload.toString()}`),
          'nothing more is read meanwhile'
        )
        const acknowledged = publisher.received
          .filter(({ cmd }) => cmd === 'puback' || cmd === 'pubrec')
          .map(({ messageId }) => messageId)
        t.same(
          acknowledged,
          packets
            .slice(0, i)
            .filter(({ qos }) => qos > 0)
            .map(({ messageId }) => messageId)
        )
        held[i]()
      }
      await publisher.settled()
      t.equal(publisher.received.filter(({ cmd }) => cmd === 'puback' || cmd === 'pubrec').length, 4)
      const got = texts(await listener.caughtUp())
      t.same(
        got.filter(text => text.startsWith('t/x')),
        ['t/x 0 1', 't/x 1 2', 't/x 2 0', 't/x 3 1', 't/x 4 2']
      )
      t.equal(got.length, 10)
    }
  }
)

t.test('an error of published ends the connection, and the message is published all the same', async t => {
  const aedes = await openBroker(t)
  const listener = await reader(aedes)
  const errors: string[] = []
  aedes.on('clientError', (_client, error) => {
    errors.push(error.message)
  })
  const publisher = await connect(aedes, 'publisher')
  aedes.published = (_packet, client: Client | null, done) => {
    done(client?.id === 'publisher' ? new Error('no') : undefined)
  }
  publisher.send(publisher.publishPacket('t/x', '1'))
  await publisher.whenClosed()
  t.same([errors, publisher.drain('puback')], [['no'], []])
  t.same(texts(await listener.caughtUp()), ['t/x 1 1'])
})

t.test(
  'listeners on the bus hear what clients and plug-ins publish, and hold back its acknowledgement until they are done',
  async t => {
    const aedes = await openBroker(t)
    const heard: string[] = []
    const note =
      (who: string) =>
      (packet: { topic: string; payload: string | Buffer }, done: () => void): void => {
        heard.push(`${who} ${packet.topic} ${packet.payload.toString()}`)
        done()
      }
    const [byBus, bySubscribe] = [note('bus'), note('subscribe')]
    const bus = (aedes as unknown as { mq: { on(topic: string, listener: unknown, done: () => void): void } }).mq
    await new Promise<void>(resolve => {
      bus.on('t/+', byBus, resolve)
    })
    await new Promise<void>(resolve => {
      aedes.subscribe('t/#', bySubscribe, resolve)
    })
    const publisher = await connect(aedes, 'publisher')
    for (const qos of [0, 1, 2] as const) await publisher.publish(`t/${qos}`, 'x', { qos })
    await publisher.settled()
    await new Promise<void>(resolve => {
      aedes.publish({ cmd: 'publish', topic: 't/plug-in', payload: 'y', qos: 0, retain: false, dup: false }, () => {
        resolve()
      })
    })
    const all = ['t/0 x', 't/1 x', 't/2 x', 't/plug-in y']
    t.same(heard.splice(0).sort(), [...all.map(what => `bus ${what}`), ...all.map(what => `subscribe ${what}`)])
    await new Promise<void>(resolve => {
      aedes.unsubscribe('t/#', bySubscribe, resolve)
    })
    let go: (() => void) | undefined
    await new Promise<void>(resolve => {
      aedes.subscribe(
        'slow',
        (_packet: object, done: () => void) => {
          go = done
        },
        resolve
      )
    })
    publisher.send(publisher.publishPacket('slow', 'x'), publisher.publishPacket('t/after', 'x'))
    await waitUntil('it is heard', () => go !== undefined)
    await (await connect(aedes, 'other')).publish('t/other', 'x')
    t.same(publisher.drain('puback'), [])
    t.same(heard.splice(0), ['bus t/other x'])
    go?.()
    await publisher.settled()
    t.equal(publisher.drain('puback').length, 2)
    t.same(heard, ['bus t/after x'])
  }
)

t.test('what a plug-in sends a client as it connects comes after the CONNACK, and what waited for it too', async t => {
  const aedes = await openBroker(t)
  const first = await connect(aedes, 'lasting', { clean: false })
  await first.subscribe([['t/#', 2]])
  await first.vanish()
  await (await connect(aedes, 'publisher')).publish('t/waited', 'x', { qos: 2 })
  const done: string[] = []
  for (const event of ['client', 'clientReady'] as const) {
    aedes.on(event, client => {
      for (const qos of [0, 1, 2] as const) {
        client.publish(
          { cmd: 'publish', topic: `hello/${event}`, payload: client.id, qos, retain: false, dup: false },
          () => {
            done.push(`${event} ${qos}`)
          }
        )
      }
    })
  }
  for (const version of VERSIONS) {
    for (const clientId of ['lasting', `clean${version}`]) {
      const client = await connect(aedes, clientId, { version, clean: clientId !== 'lasting' })
      await client.settled()
      t.equal(client.received[0].cmd, 'connack')
      const expected = ['client', 'clientReady'].flatMap(event =>
        [0, 1, 2].map(qos => `hello/${event} ${clientId} ${qos}`)
      )
      const isFirst = clientId === 'lasting' && version === 4
      await waitUntil(
        'all have come',
        () => client.received.filter(({ cmd }) => cmd === 'publish').length === expected.length + (isFirst ? 1 : 0)
      )
      t.same(texts(client.drain('publish')).sort(), [...expected, ...(isFirst ? ['t/waited x 2'] : [])].sort())
      await client.settled()
      t.equal(done.splice(0).length, 6, 'and each is told of')
      if (clientId === 'lasting') await client.leave()
    }
  }
})

t.test('what a plug-in publishes and nobody can send is refused, and tells so', async t => {
  const aedes = await openBroker(t)
  const listener = await reader(aedes)
  const client = aedes.clientOf('reader') as Client
  const packet = { cmd: 'publish', topic: 't/x', payload: 'x', qos: 1, retain: true, dup: false } as const
  const long = { ...packet, topic: `t/${'x'.repeat(65_534)}` }
  const bad = [long, { ...long, qos: 0 as const }, { ...packet, payload: 5 as unknown as string }]
  for (const one of bad) {
    t.type(
      await new Promise(resolve => {
        aedes.publish(one, resolve)
      }),
      Error
    )
    t.type(
      await new Promise(resolve => {
        client.publish(one, resolve)
      }),
      Error
    )
  }
  t.type(
    await new Promise(resolve => {
      client.publish({ ...packet, topic: 't/#' }, resolve)
    }),
    Error
  )
  const good = [
    { ...packet, topic: `t/${'x'.repeat(65_533)}` },
    { ...packet, payload: null as unknown as string },
    { ...packet, payload: new Uint8Array([120]) as Buffer }
  ]
  for (const one of good)
    t.equal(
      (await new Promise(resolve => {
        aedes.publish(one, resolve)
      })) ?? undefined,
      undefined
    )
  t.same(
    (await listener.caughtUp()).map(({ topic, payload }) => `${topic.length} ${payload.toString()}`),
    ['65535 x', '3 ', '3 x']
  )
})

t.test('a plug-in subscribes a client, and ends it', async t => {
  const aedes = await openBroker(t)
  const listener = await connect(aedes, 'listener', { version: 5 })
  await listener.watch()
  const client = aedes.clientOf('listener') as Client
  const subscribe = (...filters: string[]): Promise<void> =>
    new Promise((resolve, reject) => {
      client.subscribe(
        filters.map(topic => ({ topic, qos: 1 as const })),
        error => {
          if (error) reject(error)
          else resolve()
        }
      )
    })
  await (await connect(aedes, 'publisher')).publish('t/kept', 'x', { retain: true })
  await subscribe('t/+', 'u')
  t.same(texts(await listener.caughtUp()), ['t/kept x 1'])
  await new Promise<void>((resolve, reject) => {
    client.unsubscribe([{ topic: 't/+', qos: 1 }], error => {
      if (error) reject(error)
      else resolve()
    })
  })
  const publisher = await connect(aedes, 'publisher2')
  await publisher.publish('t/x', '1')
  await publisher.publish('u', '2')
  t.same(texts(await listener.caughtUp()), ['u 2 1'])
  t.same(listener.drain('suback').length + listener.drain('unsuback').length, 0, 'nobody has asked for an answer')
})

t.test('events tell what clients do', async t => {
  for (const version of VERSIONS) {
    const aedes = await openBroker(t)
    const told: string[] = []
    const tell = (text: string): void => {
      told.push(text)
    }
    aedes.on('client', ({ id }) => {
      tell(`client ${id}`)
    })
    aedes.on('clientReady', ({ id }) => {
      tell(`ready ${id}`)
    })
    aedes.on('connackSent', (packet, { id }) => {
      tell(`connack ${id} ${packet.sessionPresent}`)
    })
    aedes.on('ping', (packet, { id }) => {
      tell(`${packet.cmd} ${id}`)
    })
    aedes.on('publish', (packet, client) => {
      if (!packet.topic.startsWith('$SYS')) tell(`publish ${packet.topic} ${client?.id}`)
    })
    aedes.on('ack', (packet, { id }) => {
      tell(
        `ack ${(packet as Partial<IPublishPacket> | undefined)?.topic ?? (packet as { cmd?: string } | undefined)?.cmd} ${id}`
      )
    })
    aedes.on('subscribe', (subscriptions, { id }) => {
      tell(`subscribe ${subscriptions.map(({ topic, qos }) => `${topic}:${qos}`).join()} ${id}`)
    })
    aedes.on('unsubscribe', (filters, { id }) => {
      tell(`unsubscribe ${filters.join()} ${id}`)
    })
    aedes.on('clientDisconnect', ({ id }) => {
      tell(`gone ${id}`)
    })
    const client = await connect(aedes, 'c', { version })
    t.same(told.splice(0).sort(), ['client c', 'connack c false', 'ready c'])
    await client.settled()
    t.same(told.splice(0), ['pingreq c'])
    await client.subscribe([
      ['t/1', 1],
      ['t/2', 2]
    ])
    t.same(told.splice(0), ['subscribe t/1:1,t/2:2 c'])
    for (const qos of [0, 1, 2] as const) await client.publish(`t/${qos}`, 'x', { qos })
    await waitUntil('both are acknowledged', () => told.filter(text => text.startsWith('ack')).length === 2)
    t.same(
      told.filter(text => text.startsWith('publish')),
      ['publish t/0 c', 'publish t/1 c', 'publish t/2 c']
    )
    t.same(
      told.splice(0).filter(text => text.startsWith('ack')),
      ['ack t/1 c', 'ack pubrel c']
    )
    client.send({ cmd: 'puback', messageId: 99 })
    await client.settled()
    t.same(told.splice(0), ['ack undefined c', 'pingreq c'], 'what acknowledges nothing says so')
    await client.unsubscribe('t/1', 'never')
    t.same(told.splice(0), ['unsubscribe t/1,never c'])
    await client.leave()
    await waitUntil('it is gone', () => told.includes('gone c'))
    t.same(told.splice(0).sort(), ['gone c', 'unsubscribe t/2 c'])
    aedes.publish({ cmd: 'publish', topic: 'own', payload: 'x', qos: 0, retain: false, dup: false }, () => {})
    t.same(told.splice(0), ['publish own undefined'])
    const lasting = await connect(aedes, 'lasting', { version, clean: false })
    await lasting.subscribe([['t/1', 1]])
    await lasting.vanish()
    await waitUntil('it is gone', () => told.includes('gone lasting'))
    t.notOk(
      told.some(text => text.startsWith('unsubscribe')),
      'its subscriptions stay'
    )
    await connect(aedes, 'lasting', { version, clean: false })
    t.ok(told.includes('connack lasting true'))
  }
})
