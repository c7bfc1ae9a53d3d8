// The undeclared parts of Aedes that the core uses exist in the installed version.

import { Duplex } from 'node:stream'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { Aedes, type Client } from 'aedes'
import {
  AEDES_VERSION,
  brokerParts,
  holdWrites,
  partsOf,
  takeParser,
  watchBus
} from '../../../broker/core/aedes-internals.js'
import { RawClient } from '../../support/raw-client.js'
import { openBroker } from '../opened-broker.js'

const PACKAGE = new URL('../../../../package.json', import.meta.url)
/** Parts that the core calls, replaces or reads; parts of a client start with `client.`. */
const PARTS = [
  'registerClient',
  'unregisterClient',
  '_finishRegisterClient',
  'scheduleSessionExpiry',
  'scheduleWill',
  'clearDelayedWill',
  'publishWill',
  'clampSessionExpiry',
  'publish',
  'close',
  'handle',
  'clients',
  'brokers',
  'counter',
  'mq',
  'maxTopicLevels',
  'client.publish',
  'client.subscribe',
  'client.unsubscribe',
  'client.disconnect',
  'client.emptyOutgoingQueue',
  'client.close',
  'client.conn',
  'client.clean',
  'client.connected',
  'client.connackSent',
  'client.closed',
  'client.sessionExpiryInterval',
  'client._will',
  'client.will',
  'client._disconnected',
  'client._topicAliases',
  'client._keepaliveTimer',
  'client._parser',
  'client._parsingBatch',
  'client._nextBatch',
  'client.subscriptions',
  'client.duplicates'
]

/** Creates a plain Aedes with a client that has sent nothing. */
async function plainAedes(): Promise<{ aedes: Aedes; client: Client; connection: Duplex }> {
  const aedes = new Aedes()
  const connection = new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      done()
    }
  })
  const client = aedes.handle(connection, undefined)
  return { aedes, client, connection }
}

/** Returns the PARTS that are missing. */
function missing(aedes: Aedes, client: Client): string[] {
  const objects = {
    broker: aedes as unknown as Record<string, unknown>,
    client: client as unknown as Record<string, unknown>
  }
  return PARTS.filter(part => {
    const [object, name] = part.startsWith('client.')
      ? (['client', part.slice('client.'.length)] as const)
      : (['broker', part] as const)
    return !(name in objects[object])
  })
}

t.test('no used part of Aedes is missing, in plain Aedes and in the core', async t => {
  const { aedes, client, connection } = await plainAedes()
  t.same(missing(aedes, client), [])
  t.same(missing({} as Aedes, {} as Client), PARTS)
  connection.destroy()
  const { aedes: broker } = await openBroker(t)
  const raw = new RawClient(broker)
  t.same(missing(broker, (raw.brokerEnd as unknown as { client: Client }).client), [])
  raw.stream.destroy()
})

t.test('package.json depends on exactly the supported Aedes version, and it is installed', t => {
  const { dependencies } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { dependencies: Record<string, string> }
  t.equal(dependencies['aedes-2'], `npm:aedes@${AEDES_VERSION}`, 'no version range')
  const installed = createRequire(import.meta.url).resolve('aedes-2')
  const { version } = JSON.parse(readFileSync(installed.replace(/aedes\.js$/, 'package.json'), 'utf8')) as {
    version: string
  }
  t.equal(version, AEDES_VERSION)
  t.end()
})

t.test('takeParser: Aedes no longer reads from the connection', async t => {
  const { client, connection } = await plainAedes()
  const { _parser: parser, _nextBatch: nextBatch } = partsOf(client)
  t.ok(connection.listeners('readable').includes(nextBatch))
  t.type(takeParser(client), 'function')
  t.same([parser.listenerCount('packet'), parser.listenerCount('error')], [0, 0])
  t.notOk(connection.listeners('readable').includes(nextBatch))
  t.throws(() => takeParser(client), /no packet listener/, 'throws without a packet listener')
  connection.destroy()
})

t.test('holdWrites discards writes until they are restored', async t => {
  const { connection } = await plainAedes()
  const restore = holdWrites(connection)
  t.equal(connection.write('x'), true)
  t.equal(connection.writableLength + connection.listenerCount('drain'), 0)
  restore()
  t.notOk(Object.hasOwn(connection, 'write'))
  connection.destroy()
})

t.test('watchBus reports listeners only after a subscription', async t => {
  const { aedes, connection } = await plainAedes()
  const { mq } = brokerParts(aedes)
  const received: string[] = []
  const { hasListeners } = watchBus(mq)
  t.equal(hasListeners('a'), false)
  t.equal(hasListeners('$SYS/x'), true)
  const listen = (topic: string): Promise<void> =>
    new Promise(resolve => {
      mq.on(
        topic,
        ({ topic: receivedTopic }: { topic: string }, done: () => void) => {
          received.push(receivedTopic)
          done()
        },
        resolve
      )
    })
  await listen('$SYS/+/heartbeat')
  t.equal(hasListeners('a'), false, 'subscribed by Aedes itself')
  await listen('a')
  t.equal(hasListeners('b'), true)
  await new Promise<void>(resolve => {
    mq.emit({ topic: 'a' }, () => {
      resolve()
    })
  })
  t.same(received, ['a'])
  connection.destroy()
})
