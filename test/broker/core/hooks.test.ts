// Aedes' hooks and events on the core: they are called, may change messages, and may be asynchronous.

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
  // Like a socket.
  client.once('end', () => {
    client.destroy()
  })
  aedes.handle(broker, undefined)
  return await SessionClient.connect(client, { clientId, clean: true, acknowledges: true, ...options })
}

/** Connects a client that is subscribed to all test messages. */
async function reader(aedes: Broker, clientId = 'reader', version: Version = 5): Promise<SessionClient> {
  const client = await connect(aedes, clientId, { version })
  await client.subscribeMarker()
  await client.subscribe([['t/#', 2]])
  return client
}

function texts(messages: readonly IPublishPacket[]): string[] {
  return messages.map(({ topic, payload, qos }) => `${topic} ${payload.toString()} ${qos}`)
}

/** Returns the properties of a message as a plain object, as a plug-in sees them. */
function propertiesOf(packet: object): Record<string, unknown> {
  return (packet as { properties: Record<string, unknown> }).properties
}

t.test('authorizePublish, set after the start, is called for every message of a client', async t => {
  for (const version of VERSIONS) {
    const aedes = await openBroker(t)
    const [publisher, listener] = [await connect(aedes, 'publisher', { version }), await reader(aedes)]
    await publisher.publish('t/before', '0')
    const calls: unknown[] = []
    aedes.authorizePublish = (client, packet, done) => {
      if (client?.id === 'publisher')
        calls.push([packet.cmd, packet.topic, packet.payload.toString(), packet.qos, packet.retain])
      done(null)
    }
    for (const qos of [0, 1, 2] as const) await publisher.publish(`t/${qos}`, String(qos), { qos, retain: qos === 1 })
    await publisher.settled()
    t.same(calls, [
      ['publish', 't/0', '0', 0, false],
      ['publish', 't/1', '1', 1, true],
      ['publish', 't/2', '2', 2, false]
    ])
    t.same(texts(await listener.messagesSoFar()), ['t/before 0 1', 't/0 0 0', 't/1 1 1', 't/2 2 2'])
    // A QoS 2 message that is sent again before its PUBREC is the same message.
    const packet = publisher.publishPacket('t/twice', '3', { qos: 2 })
    publisher.send(packet, { ...packet, dup: true })
    await publisher.finish(packet)
    t.equal(calls.length, 4)
    t.same(texts(await listener.messagesSoFar()), ['t/twice 3 2'])
  }
})

t.test('authorizePublish may change topic and payload, also of retained messages', async t => {
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
    t.same(texts(await listener.messagesSoFar()), [
      't/own/0 0! 0',
      't/own/1 1! 1',
      't/own/2 2! 2',
      't/own/text a text: ö 1'
    ])
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

t.test('authorizePublish may add, replace, remove and modify properties', async t => {
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
    removed: packet => {
      delete (packet as { properties?: object }).properties
    },
    'one removed': packet => {
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
  const got = (await listener.messagesSoFar()).map(
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

t.test('the acknowledgement matches the QoS of the publisher, even if a hook changes it', async t => {
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
      (await listener.messagesSoFar()).map(({ qos }) => qos),
      [0, 1, 2, 0, 1, 2, 0, 1, 2]
    )
  }
})

t.test(
  'an asynchronous authorizePublish keeps the order of messages and acknowledgements [MQTT-4.6.0-1] to [MQTT-4.6.0-4]',
  async t => {
    for (const version of VERSIONS) {
      const aedes = await openBroker(t)
      const [publisher, listener] = [await connect(aedes, 'publisher', { version }), await reader(aedes)]
      let pending = 0
      let maximum = 0
      aedes.authorizePublish = (client, packet, done) => {
        if (client?.id !== 'publisher') {
          done(null)
          return
        }
        maximum = Math.max(maximum, ++pending)
        const number = Number(packet.payload.toString())
        const decide = (): void => {
          pending--
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
        (await listener.messagesSoFar()).map(({ payload }) => payload.toString()),
        packets.map(({ payload }) => payload.toString()).filter(text => Number(text) % 5 !== 4)
      )
      t.equal(maximum, 1, 'one at a time')
    }
  }
)

t.test(
  'a message denied by authorizePublish is not delivered; the publisher is notified if its version allows it',
  async t => {
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
    t.same(texts(await listener.messagesSoFar()), ['t/allowed 5 1'])
    t.same(errors, ['c4 wrong', 'c5 denied', 'c5 denied', 'c5 denied', 'c5 wrong', 'quiet denied'])
  }
)

t.test('a message that a hook made invalid is dropped; its publisher stays connected', async t => {
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
  t.same(await listener.messagesSoFar(), [])
  t.equal(aedes.retained.size, 0)
})

t.test('authorizeForward may change a message for one client, in place or as a copy, or deny it', async t => {
  const aedes = await openBroker(t)
  const names = ['first', 'payload', 'topic', 'copy', 'properties', 'flags', 'none', 'last']
  const clients = new Map<string, SessionClient>()
  for (const name of names) clients.set(name, await reader(aedes, name))
  const seen: unknown[] = []
  aedes.authorizeForward = (client: Client, packet: Forwarded) => {
    if (packet.topic.startsWith('mark/')) return packet
    if (client.id === 'last')
      seen.push([packet.topic, packet.payload.toString(), packet.qos, packet.retain, propertiesOf(packet).contentType])
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
  for (const [name, client] of clients) got.set(name, await client.messagesSoFar())
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
    'changes for one client do not affect others'
  )
})

t.test('authorizeForward is called for retained messages, queued messages and messages of plug-ins', async t => {
  const aedes = await openBroker(t)
  const publisher = await connect(aedes, 'publisher')
  const offline = await connect(aedes, 'offline', { clean: false })
  await offline.subscribeMarker()
  await offline.subscribe([['t/#', 1]])
  await offline.destroy()
  await publisher.publish('t/kept', 'kept', { retain: true })
  await publisher.publish('t/secret', 'secret', { retain: true })
  aedes.authorizeForward = (_client, packet) => {
    if (packet.topic === 't/secret') return null
    if (packet.topic.startsWith('t/')) packet.payload = Buffer.from(`${packet.payload.toString()}?`)
    return packet
  }
  const back = await connect(aedes, 'offline', { clean: false })
  t.same(texts(await back.messagesSoFar()), ['t/kept kept? 1'])
  const late = await reader(aedes)
  t.same(texts(await late.messagesSoFar()), ['t/kept kept? 1'])
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
    texts(await late.messagesSoFar()),
    [0, 1, 2].map(qos => `t/plug-in x? ${qos}`)
  )
  t.same(await back.messagesSoFar(), [], 'sent to one client only')
})

for (const how of ['synchronous', 'asynchronous'] as const) {
  t.test(`authorizeSubscribe may lower the QoS or refuse, ${how}`, async t => {
    const aedes = await openBroker(t)
    const calls: string[] = []
    aedes.authorizeSubscribe = (_client, subscription, done) => {
      calls.push(`${subscription.topic} ${subscription.qos}`)
      const answer: Asked | null = subscription.topic.startsWith('secret')
        ? null
        : { ...subscription, qos: Math.min(subscription.qos, 1) as 0 | 1 }
      if (how === 'synchronous') done(null, answer)
      else
        void pause((calls.length % 3) * 2).then(() => {
          done(null, answer)
        })
    }
    for (const version of VERSIONS) {
      const client = await connect(aedes, `c${version}`, { version })
      // Later packets are handled after it.
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
        'the SUBACK is first'
      )
      await client.settled()
      t.same(client.drain('publish'), [])
      t.same(calls.splice(0), ['t/# 2', 'secret/a 0', 't/+ 0', 'secret/b 2'])
      t.same([...(aedes.sessions.get(`c${version}`)?.subscriptions.keys() ?? [])], ['t/#', 't/+'])
    }
  })

  t.test(`authorizeSubscribe is called without $share/group, and again for a resumed session, ${how}`, async t => {
    const aedes = await openBroker(t)
    const calls: string[] = []
    let isRefused = false
    aedes.authorizeSubscribe = (_client, subscription, done) => {
      calls.push(subscription.topic)
      const answer = isRefused && subscription.topic === 't/b' ? null : subscription
      if (how === 'synchronous') done(null, answer)
      else
        void setImmediate().then(() => {
          done(null, answer)
        })
    }
    const client = await connect(aedes, 'c', { clean: false })
    await client.subscribeMarker()
    await client.subscribe([
      ['$share/g/t/a', 1],
      ['t/b', 1]
    ])
    t.same(calls.splice(0), ['mark/c', 't/a', 't/b'])
    await client.destroy()
    isRefused = true
    const back = await connect(aedes, 'c', { clean: false })
    await waitUntil('a call for each filter', () => calls.length === 3)
    t.same(calls.sort(), ['mark/c', 't/a', 't/b'])
    await setImmediate()
    const publisher = await connect(aedes, 'publisher')
    await publisher.publish('t/a', '1')
    await publisher.publish('t/b', '2')
    t.same(texts(await back.messagesSoFar()), ['t/a 1 1'])
  })
}

t.test('an asynchronous `published` delays only its publisher, and keeps acknowledgements in order', async t => {
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
      await waitUntil('the next message', () => held.length === i + 1)
      await other.publish('t/other', String(i), { qos: 2 })
      t.same(
        seen,
        packets.slice(0, i + 1).map(({ payload }) => `t/x ${payload.toString()}`),
        'no further message is read'
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
    const got = texts(await listener.messagesSoFar())
    t.same(
      got.filter(text => text.startsWith('t/x')),
      ['t/x 0 1', 't/x 1 2', 't/x 2 0', 't/x 3 1', 't/x 4 2']
    )
    t.equal(got.length, 10)
  }
})

t.test('an error of `published` ends the connection, but the message is delivered', async t => {
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
  t.same(texts(await listener.messagesSoFar()), ['t/x 1 1'])
})

t.test(
  'bus listeners receive messages of clients and plug-ins, and delay the acknowledgement until they are done',
  async t => {
    const aedes = await openBroker(t)
    const received: string[] = []
    const listener =
      (who: string) =>
      (packet: { topic: string; payload: string | Buffer }, done: () => void): void => {
        received.push(`${who} ${packet.topic} ${packet.payload.toString()}`)
        done()
      }
    const [byBus, bySubscribe] = [listener('bus'), listener('subscribe')]
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
    t.same(received.splice(0).sort(), [...all.map(what => `bus ${what}`), ...all.map(what => `subscribe ${what}`)])
    await new Promise<void>(resolve => {
      aedes.unsubscribe('t/#', bySubscribe, resolve)
    })
    let release: (() => void) | undefined
    await new Promise<void>(resolve => {
      aedes.subscribe(
        'slow',
        (_packet: object, done: () => void) => {
          release = done
        },
        resolve
      )
    })
    publisher.send(publisher.publishPacket('slow', 'x'), publisher.publishPacket('t/after', 'x'))
    await waitUntil('the listener', () => release !== undefined)
    await (await connect(aedes, 'other')).publish('t/other', 'x')
    t.same(publisher.drain('puback'), [])
    t.same(received.splice(0), ['bus t/other x'])
    release?.()
    await publisher.settled()
    t.equal(publisher.drain('puback').length, 2)
    t.same(received, ['bus t/after x'])
  }
)

t.test('messages of plug-ins to a connecting client, and queued messages, follow the CONNACK', async t => {
  const aedes = await openBroker(t)
  const first = await connect(aedes, 'persistent', { clean: false })
  await first.subscribe([['t/#', 2]])
  await first.destroy()
  await (await connect(aedes, 'publisher')).publish('t/queued', 'x', { qos: 2 })
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
    for (const clientId of ['persistent', `clean${version}`]) {
      const client = await connect(aedes, clientId, { version, clean: clientId !== 'persistent' })
      await client.settled()
      t.equal(client.received[0].cmd, 'connack')
      const expected = ['client', 'clientReady'].flatMap(event =>
        [0, 1, 2].map(qos => `hello/${event} ${clientId} ${qos}`)
      )
      const isFirst = clientId === 'persistent' && version === 4
      await waitUntil(
        'all messages',
        () => client.received.filter(({ cmd }) => cmd === 'publish').length === expected.length + (isFirst ? 1 : 0)
      )
      t.same(texts(client.drain('publish')).sort(), [...expected, ...(isFirst ? ['t/queued x 2'] : [])].sort())
      await client.settled()
      t.equal(done.splice(0).length, 6, 'a callback for each')
      if (clientId === 'persistent') await client.disconnect()
    }
  }
})

t.test('an invalid message of a plug-in is refused with an error', async t => {
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
    (await listener.messagesSoFar()).map(({ topic, payload }) => `${topic.length} ${payload.toString()}`),
    ['65535 x', '3 ', '3 x']
  )
})

t.test('a plug-in subscribes and unsubscribes a client', async t => {
  const aedes = await openBroker(t)
  const listener = await connect(aedes, 'listener', { version: 5 })
  await listener.subscribeMarker()
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
  t.same(texts(await listener.messagesSoFar()), ['t/kept x 1'])
  await new Promise<void>((resolve, reject) => {
    client.unsubscribe([{ topic: 't/+', qos: 1 }], error => {
      if (error) reject(error)
      else resolve()
    })
  })
  const publisher = await connect(aedes, 'publisher2')
  await publisher.publish('t/x', '1')
  await publisher.publish('u', '2')
  t.same(texts(await listener.messagesSoFar()), ['u 2 1'])
  t.same(listener.drain('suback').length + listener.drain('unsuback').length, 0, 'no SUBACK or UNSUBACK')
})

t.test('events of clients', async t => {
  for (const version of VERSIONS) {
    const aedes = await openBroker(t)
    const events: string[] = []
    const note = (text: string): void => {
      events.push(text)
    }
    aedes.on('client', ({ id }) => {
      note(`client ${id}`)
    })
    aedes.on('clientReady', ({ id }) => {
      note(`ready ${id}`)
    })
    aedes.on('connackSent', (packet, { id }) => {
      note(`connack ${id} ${packet.sessionPresent}`)
    })
    aedes.on('ping', (packet, { id }) => {
      note(`${packet.cmd} ${id}`)
    })
    aedes.on('publish', (packet, client) => {
      if (!packet.topic.startsWith('$SYS')) note(`publish ${packet.topic} ${client?.id}`)
    })
    aedes.on('ack', (packet, { id }) => {
      note(
        `ack ${(packet as Partial<IPublishPacket> | undefined)?.topic ?? (packet as { cmd?: string } | undefined)?.cmd} ${id}`
      )
    })
    aedes.on('subscribe', (subscriptions, { id }) => {
      note(`subscribe ${subscriptions.map(({ topic, qos }) => `${topic}:${qos}`).join()} ${id}`)
    })
    aedes.on('unsubscribe', (filters, { id }) => {
      note(`unsubscribe ${filters.join()} ${id}`)
    })
    aedes.on('clientDisconnect', ({ id }) => {
      note(`disconnected ${id}`)
    })
    const client = await connect(aedes, 'c', { version })
    t.same(events.splice(0).sort(), ['client c', 'connack c false', 'ready c'])
    await client.settled()
    t.same(events.splice(0), ['pingreq c'])
    await client.subscribe([
      ['t/1', 1],
      ['t/2', 2]
    ])
    t.same(events.splice(0), ['subscribe t/1:1,t/2:2 c'])
    for (const qos of [0, 1, 2] as const) await client.publish(`t/${qos}`, 'x', { qos })
    await waitUntil('both are acknowledged', () => events.filter(text => text.startsWith('ack')).length === 2)
    t.same(
      events.filter(text => text.startsWith('publish')),
      ['publish t/0 c', 'publish t/1 c', 'publish t/2 c']
    )
    t.same(
      events.splice(0).filter(text => text.startsWith('ack')),
      ['ack t/1 c', 'ack pubrel c']
    )
    client.send({ cmd: 'puback', messageId: 99 })
    await client.settled()
    t.same(events.splice(0), ['ack undefined c', 'pingreq c'], 'an unexpected PUBACK emits undefined')
    await client.unsubscribe('t/1', 'never')
    t.same(events.splice(0), ['unsubscribe t/1,never c'])
    await client.disconnect()
    await waitUntil('the disconnect', () => events.includes('disconnected c'))
    t.same(events.splice(0).sort(), ['disconnected c', 'unsubscribe t/2 c'])
    aedes.publish({ cmd: 'publish', topic: 'own', payload: 'x', qos: 0, retain: false, dup: false }, () => {})
    t.same(events.splice(0), ['publish own undefined'])
    const persistent = await connect(aedes, 'persistent', { version, clean: false })
    await persistent.subscribe([['t/1', 1]])
    await persistent.destroy()
    await waitUntil('the disconnect', () => events.includes('disconnected persistent'))
    t.notOk(
      events.some(text => text.startsWith('unsubscribe')),
      'its subscriptions are kept'
    )
    await connect(aedes, 'persistent', { version, clean: false })
    t.ok(events.includes('connack persistent true'))
  }
})
