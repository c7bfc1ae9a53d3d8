// Imports a data folder of the broker before the core completely, also if the start is killed.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { IPublishPacket } from 'mqtt-packet'
import { MAIN, runArtemis } from '../running-broker.js'
import { startOnAllTransports, type TransportBroker } from './transports.js'
import {
  oldContents,
  unpackOldStore,
  type Ended,
  type OldFilter,
  type OldMessage,
  type OldProperties,
  type OldSession
} from './old-store.js'
import { SessionClient, type SessionOptions } from './session-client.js'

/** Unpublished wills without a delay; the QoS 0 one is not queued for anyone. */
const LEFT_WILLS = ['will/3', 'will/5', 'will/__proto__', 'will/session']

async function connect(broker: TransportBroker, options: SessionOptions): Promise<SessionClient> {
  return await SessionClient.connect(await broker.open('TCP'), options)
}

async function visit(broker: TransportBroker, clientId: string): Promise<SessionClient> {
  const client = await connect(broker, { clientId, version: 5, clean: true, acknowledges: true })
  await client.subscribeMarker()
  return client
}

async function resume(broker: TransportBroker, { clientId, version }: OldSession): Promise<SessionClient> {
  return await connect(broker, { clientId, version: version === 5 ? 5 : 4 })
}

function payloadOf({ payload = '', payloadHex }: OldMessage): string {
  return payloadHex ?? Buffer.from(payload).toString('hex')
}

function granted(filters: readonly OldFilter[], topic: string): number {
  return filters.find(({ filter }) => filter === topic)?.qos ?? 2
}

/** Expected messages and PUBRELs of a session's queue, in order. */
function expectedQueue({ filters, queue }: OldSession): unknown[] {
  const messages = queue
    .filter(item => item.state !== 'released')
    .map(item => {
      const rap = filters.some(({ filter, retainAsPublished }) => filter === item.topic && retainAsPublished === true)
      return item.state === 'sent'
        ? [item.topic, payloadOf(item), item.qos, item.packetId, true, false]
        : // The old broker stored the QoS of the publisher.
          [
            item.topic,
            payloadOf(item),
            Math.min(item.qos, granted(filters, item.topic)),
            'new',
            false,
            rap && item.retain
          ]
    })
  return [...messages, ...queue.filter(item => item.state === 'released').map(({ packetId }) => ['pubrel', packetId])]
}

/** Receives the packets of a session's queue. */
async function receivedQueue(client: SessionClient, session: OldSession): Promise<unknown[]> {
  const old = new Set(session.queue.flatMap(item => (item.state === 'unsent' ? [] : [item.packetId])))
  const idOf = ({ messageId = 0 }: IPublishPacket): unknown => (old.has(messageId) ? messageId : 'new')
  const messages: IPublishPacket[] = []
  const released: unknown[] = []
  for (const { state } of session.queue) {
    if (state === 'released') released.push(['pubrel', (await client.next('pubrel')).messageId])
    else messages.push(await client.next('publish'))
  }
  return [
    ...messages.map(message => [
      message.topic,
      Buffer.from(message.payload).toString('hex'),
      message.qos,
      idOf(message),
      message.dup,
      message.retain
    ]),
    ...released
  ]
}

function propertiesMatch(
  test: Test,
  found: IPublishPacket['properties'],
  expected: OldProperties = {},
  what = ''
): void {
  const { correlationDataHex, messageExpiryInterval, ...rest } = expected
  delete rest.willDelayInterval
  const correlation =
    correlationDataHex === undefined ? {} : { correlationData: Buffer.from(correlationDataHex, 'hex') }
  test.match(found ?? {}, { ...rest, ...correlation }, what)
  test.notOk('willDelayInterval' in (found ?? {}))
  if (messageExpiryInterval !== undefined)
    test.ok((found?.messageExpiryInterval ?? NaN) <= messageExpiryInterval, 'expiry')
}

/** Checks the retained messages that have not expired. */
async function checkRetained(test: Test, broker: TransportBroker, ended: Ended): Promise<void> {
  const { retained } = oldContents(ended)
  const expected = retained.filter(({ messageExpiry = Infinity }) => messageExpiry > Date.now())
  const reader = await visit(broker, 'reader')
  await reader.subscribe([['#', 2]])
  const missing = new Set(expected.map(({ topic }) => topic))
  const found = new Map<string, IPublishPacket>()
  while (missing.size > 0) {
    const message = await reader.next('publish')
    // Wills are checked elsewhere.
    if (missing.delete(message.topic)) found.set(message.topic, message)
    else if (!message.topic.startsWith('will/')) test.fail(`unexpected topic ${message.topic}`)
  }
  for (const message of expected) {
    const got = found.get(message.topic)
    test.match(got, { qos: message.qos, retain: true }, message.topic)
    test.equal(Buffer.from(got?.payload ?? '').toString('hex'), payloadOf(message), message.topic)
    propertiesMatch(test, got?.properties, message.properties, message.topic)
  }
}

/** Checks the queue and the subscriptions of a session. */
async function checkSession(test: Test, broker: TransportBroker, session: OldSession): Promise<void> {
  const client = await resume(broker, session)
  test.equal(client.sessionPresent, true, `${session.clientId} is present`)
  test.same(await receivedQueue(client, session), expectedQueue(session), `queue of ${session.clientId}`)
  const sent = client.received.filter(({ cmd }) => cmd === 'publish') as IPublishPacket[]
  for (const item of session.version === 5 ? session.queue : []) {
    if (item.state === 'sent')
      propertiesMatch(test, sent.find(({ messageId }) => messageId === item.packetId)?.properties, item.properties)
  }
  client.acknowledgeAll()
  await client.subscribeMarker()
  for (const filter of session.filters.filter(({ filter }) => !filter.startsWith('$share/')))
    await checkFilter(test, broker, client, filter)
  await client.disconnect()
}

async function checkFilter(
  test: Test,
  broker: TransportBroker,
  client: SessionClient,
  filter: OldFilter
): Promise<void> {
  const topic = filter.filter.replace('+', 'x').replace('#', 'y')
  const what = `${client.options.clientId} at ${filter.filter}`
  if (filter.noLocal === true) {
    await client.publish(topic, 'own')
    test.same(
      (await client.messagesSoFar()).filter(({ payload }) => payload.toString() === 'own'),
      [],
      `${what}: No Local`
    )
  }
  const publisher = await visit(broker, 'publisher')
  const payload = `for ${client.options.clientId}`
  await publisher.publish(topic, payload, { qos: 2, retain: true })
  await publisher.publish(topic, '', { qos: 0, retain: true })
  await publisher.settled()
  await publisher.disconnect()
  const got = (await client.messagesSoFar()).filter(message => message.payload.toString() === payload)
  test.match(got, [{ qos: filter.qos, retain: filter.retainAsPublished === true }], what)
  test.same(got[0]?.properties?.subscriptionIdentifier, filter.subscriptionIdentifier, `${what}: identifier`)
}

/** Checks that QoS 2 messages are not delivered again until they are released. */
async function checkInbound(test: Test, broker: TransportBroker, session: OldSession): Promise<void> {
  const [watcher, client] = [await visit(broker, 'watcher'), await resume(broker, session)]
  await watcher.subscribe([['in/#', 2]])
  for (const messageId of session.inbound) {
    client.send(client.publishPacket(`in/${session.clientId}`, 'again', { qos: 2, dup: true, messageId }))
    await client.finish({ qos: 2, messageId })
  }
  test.same(await watcher.messagesSoFar(), [], session.clientId)
  await client.publish(`in/${session.clientId}`, 'new', { qos: 2, messageId: session.inbound[0] })
  test.equal((await watcher.messagesSoFar()).length, 1, `${session.clientId}: released`)
  await Promise.all([watcher.disconnect(), client.disconnect()])
}

/** Checks wills: queued, retained if requested, and published once. */
async function checkWills(test: Test, broker: TransportBroker, ended: Ended): Promise<void> {
  const client = await connect(broker, { clientId: 'watches-wills', acknowledges: true })
  const topics = (await client.messages(LEFT_WILLS.length)).map(({ topic }) => topic)
  await client.subscribeMarker()
  topics.push(...(await client.messagesSoFar()).map(({ topic }) => topic))
  test.same(
    topics.filter(topic => topic !== 'will/bytes').sort(),
    LEFT_WILLS,
    `${ended}: each once, without delayed ones`
  )
  const reader = await visit(broker, 'reader')
  await reader.subscribe([['will/#', 2]])
  test.match(await reader.messages(1), [{ topic: 'will/3', retain: true }])
  test.same(await reader.messagesSoFar(), [])
  await Promise.all([client.disconnect(), reader.disconnect()])
}

async function checkBans(test: Test, broker: TransportBroker, folder: string, ended: Ended): Promise<void> {
  const { bans, allow } = oldContents(ended)
  const list = async (command: string): Promise<string> =>
    (await runArtemis([command, '--format', 'json', '--url', broker.url], folder)).stdout
  const listed = await list('ban')
  for (const { address, clientId, until } of bans.filter(({ until }) => until > Date.now())) {
    for (const part of [address, clientId, String(until)])
      if (part !== null) test.ok(listed.includes(part), `ban of ${part}`)
  }
  test.notMatch(listed, '192.0.2.9')
  const allowed = await list('allow')
  for (const entry of allow) test.match(allowed, entry.replace('client:', ''))
  await test.rejects(connect(broker, { clientId: 'mallory', clean: true }))
}

/** Starts the broker and kills it at different points of its start. */
async function killStarts(folder: string): Promise<void> {
  for (const ms of [250, 350, 450, 550, 800]) {
    const child = spawn(process.execPath, [MAIN, '--port', '0', '--data', 'data'], { cwd: folder, stdio: 'ignore' })
    await pause(ms)
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
}

for (const ended of ['killed', 'stopped'] as const) {
  for (const start of ['a start', 'killed starts', 'a start that was killed after the import'] as const) {
    t.test(`data of a ${ended} broker, imported by ${start}`, async t => {
      const folder = t.testdir({ 'artemis.yaml': 'tap: { target: none }\n' })
      unpackOldStore(ended, path.join(folder, 'data'))
      if (start === 'killed starts') await killStarts(folder)
      let broker = await startOnAllTransports(t, folder)
      if (start === 'a start that was killed after the import') {
        await broker.stop('SIGKILL')
        broker = await startOnAllTransports(t, folder)
      }
      await checkRetained(t, broker, ended)
      await checkWills(t, broker, ended)
      const { sessions } = oldContents(ended)
      for (const session of sessions.filter(({ inbound }) => inbound.length > 0)) await checkInbound(t, broker, session)
      // One was a clean session, the other is already checked.
      const persistent = sessions.filter(({ clientId }) => clientId !== 'in-clean' && clientId !== 'watches-wills')
      for (const session of persistent) await checkSession(t, broker, session)
      await checkBans(t, broker, folder, ended)
      t.equal((await broker.stop()).code, 0)
    })
  }
}
